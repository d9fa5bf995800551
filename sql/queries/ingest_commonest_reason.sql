-- The commonest reason why rows of an input are in quarantine.
SELECT reason, count(*) FROM quarantine WHERE source = ? GROUP BY reason ORDER BY count(*) DESC, reason LIMIT 1
