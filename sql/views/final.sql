-- The final label set, which exports take unless told otherwise. `iteration`: its number; `assessed`: that of the last
-- label set that the aggregation made, which the loop's scaled-out set is not. Aggregation marks one of its own as final.
CREATE OR REPLACE TEMP VIEW final_iteration AS
WITH marked AS (SELECT max(iteration) AS iteration FROM lake.assessments WHERE is_final)
SELECT
    coalesce(
        (SELECT max(iteration) FROM lake.preferences WHERE iteration > 1), (SELECT iteration FROM marked),
        (SELECT max(iteration) FROM lake.preferences)
    ) AS iteration,
    coalesce((SELECT iteration FROM marked), (SELECT max(iteration) FROM lake.assessments), (SELECT max(iteration) FROM lake.annotators))
        AS assessed;
CREATE OR REPLACE TEMP VIEW final_preferences AS
SELECT * FROM lake.preferences WHERE iteration = (SELECT iteration FROM final_iteration);
CREATE OR REPLACE TEMP VIEW final_rankings AS
SELECT * FROM lake.rankings WHERE iteration = (SELECT iteration FROM final_iteration);
CREATE OR REPLACE TEMP VIEW final_annotators AS
SELECT * FROM lake.annotators WHERE iteration = (SELECT assessed FROM final_iteration);
CREATE OR REPLACE TEMP VIEW final_dropped_arcs AS
SELECT * FROM lake.dropped_arcs WHERE iteration = (SELECT assessed FROM final_iteration);
