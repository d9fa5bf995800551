-- A row may be used where one of those who bring it allows that; a response also needs its model's licence.
-- Bound: allowed (license: in lower case).
CREATE OR REPLACE TEMP TABLE barred_items AS
SELECT kind, id, any_value(prompt_id) AS prompt_id
FROM item_terms
GROUP BY kind, id
HAVING NOT coalesce(bool_or(lower(license) IN (FROM allowed)), false)
