-- Whether a filter's decision leaves its prompt, response or pair out: also while people have not let it pass.
CREATE OR REPLACE MACRO memory.leaves_out(action) AS action IN ('drop', 'route');
