-- The decisions of the filter $1 with the texts that they are about.
SELECT
    target, item_id, decisions.prompt_id, action, reason, score, other,
    coalesce(memory.response_text(responses.messages), memory.content_text(prompts.messages[-1].content)) AS "text"
FROM filter_decisions AS decisions
LEFT JOIN prompts ON target <> 'response' AND prompts.prompt_id = decisions.prompt_id
LEFT JOIN responses ON target = 'response' AND responses.response_id = item_id
WHERE "filter" = $1
ORDER BY reason, item_id
