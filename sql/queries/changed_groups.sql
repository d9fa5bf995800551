-- The groups of a table's rows and of those to take their place (bound as incoming_rows), and which of them differ.
-- Names in braces are put in by Writer.replace.
CREATE OR REPLACE TEMP TABLE changed_groups AS
WITH old AS (
    SELECT "{group}", count(*) AS n, bit_xor(hash({compared})) AS digest
    FROM lake.{table}
    WHERE {where}
    GROUP BY "{group}"
), new AS (
    SELECT "{group}", count(*) AS n, bit_xor(hash({compared})) AS digest
    FROM incoming_rows
    GROUP BY "{group}"
)
SELECT "{group}", old.n IS DISTINCT FROM new.n OR old.digest IS DISTINCT FROM new.digest AS changed
FROM old FULL JOIN new USING ("{group}")
