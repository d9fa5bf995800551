-- How the labels that were drawn at random agree, in the order in which they tested. $1 iteration.
SELECT agrees FROM label_uses WHERE iteration = $1 AND use = 'test' ORDER BY revision, place
