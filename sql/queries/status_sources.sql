-- The inputs that were taken in, with their terms and rows. Rows of before these were kept have no input.
SELECT
    sources.source, part, license, origin, coalesce(prompts, 0) AS prompts, coalesce(responses, 0) AS responses,
    coalesce(judgments, 0) AS judgments, coalesce(repeats, 0) AS repeats
FROM sources
LEFT JOIN (SELECT part, count(*) AS prompts FROM prompts GROUP BY part) USING (part)
LEFT JOIN (SELECT part, count(*) AS responses FROM responses GROUP BY part) USING (part)
LEFT JOIN (SELECT part, count(*) AS judgments FROM judgments GROUP BY part) USING (part)
LEFT JOIN (SELECT part, count(*) AS repeats FROM repeats GROUP BY part) USING (part)
ORDER BY ALL
