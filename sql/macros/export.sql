-- The order of prompts in exports: by the time at which they came into the lake, 2,048 of them at a time, so that what
-- is new stands at the end, in files of its own, and the files before it stay as they are. Inside of such a batch prompts
-- stand in the order of their ids.
CREATE OR REPLACE MACRO memory.batch_of(wanted) AS (
    SELECT placed.rowid // 2048 FROM lake.prompts AS placed WHERE placed.prompt_id = wanted
);
