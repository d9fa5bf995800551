-- The last iteration of the loop: what an export takes unless told otherwise.
CREATE OR REPLACE TEMP VIEW final_preferences AS
SELECT * FROM lake.preferences WHERE iteration = (SELECT max(iteration) FROM lake.preferences);
CREATE OR REPLACE TEMP VIEW final_rankings AS
SELECT * FROM lake.rankings WHERE iteration = (SELECT max(iteration) FROM lake.rankings);
CREATE OR REPLACE TEMP VIEW final_annotators AS
SELECT * FROM lake.annotators WHERE iteration = (SELECT max(iteration) FROM lake.annotators);
CREATE OR REPLACE TEMP VIEW final_dropped_arcs AS
SELECT * FROM lake.dropped_arcs WHERE iteration = (SELECT max(iteration) FROM lake.dropped_arcs);
