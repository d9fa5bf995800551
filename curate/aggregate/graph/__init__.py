"""Preference graphs: votes summed per pair, made acyclic at the least cost, with what that cost.

The steps, each usable alone: `tally` (votes per pair), `majority` (shares), `arcs` (net evidence), `denoise` (orders,
ranks, dropped arcs; both orders of ensembling and denoising), `solution` (what comes out). Importing any of them loads
numba; importing `curate.aggregate` does not.
"""
