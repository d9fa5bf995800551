-- The annotators whose judgments count, with their revisions; people are one revision. Of the relation `panel`.
SELECT judgments.annotator_id, any_value(judgments.kind) AS kind, judgments.revision, count(*) AS judgments
FROM judgments JOIN panel USING (annotator_id, revision)
WHERE judgments.kind <> 'human' AND judgments.aspect IS NULL
GROUP BY judgments.annotator_id, judgments.revision
ORDER BY ALL
