"""Rankings of models over all prompts: Bradley–Terry with ties, PageRank, ensembles of per-prompt ranks.

evalica has the same point estimates (tests compare them) but takes one Python object per vote and returns pandas; its
bootstrap draws votes anew and refits from nothing, where the counts per pair of models are all that a fit needs.
"""
