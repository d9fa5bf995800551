-- The filters that have left anything out.
SELECT DISTINCT "filter" FROM filter_decisions ORDER BY 1
