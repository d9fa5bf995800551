-- Up to which change of its tasks a project was pulled.
SELECT max(json_extract_string(details, '$.mark'))
FROM runs
WHERE stage = 'verify' AND json_extract_string(details, '$.place') = ?
