"""Tosses of fair coins: how likely so few successes are by chance."""

from __future__ import annotations


def compute_tail(successes: int, n: int) -> float:
    """Compute the chance of at most so many successes in n tosses; as likely are as many failures or fewer."""
    from scipy.special import bdtr  # takes a while to import

    return float(bdtr(successes, n, 0.5))
