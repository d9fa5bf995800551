-- The kinds of annotators whose judgments count, and whether models are named as the writers of responses.
SELECT list_sort(list(DISTINCT kind)), (SELECT count(model) > 0 FROM responses) FROM current_judgments
