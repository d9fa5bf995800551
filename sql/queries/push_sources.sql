-- What was ingested, by the names under which runs are filed: paths of files, addresses of the hub.
SELECT DISTINCT part FROM runs WHERE stage = 'ingest' ORDER BY part
