"""Near-duplicates of texts beside peers, in one run: documents a second, recall and precision.

    python bench/duplicates.py --documents 100000
    python bench/duplicates.py --documents 100000 --peers rensa datasketch

Texts of 20 to 180 words from a vocabulary of 50,000 words with Zipf's frequencies; one in ten is an earlier one with
words replaced. Truth: pairs of a text and its origin whose exact overlap of runs of five words is at least the
threshold. All do the same work, from texts to pairs; what a peer proposes is verified by the exact overlap, as ours is.
Peers are no dependency: `pip install rensa datasketch`.
"""

from __future__ import annotations

import argparse
import random
import resource
import time
from collections.abc import Callable

import numpy as np

from curate.data.minhash import find_similar_pairs
from curate.data.shingles import hash_shingles

WORDS = 5
Pairs = set[tuple[int, int]]


def make_documents(number: int, seed: int) -> tuple[list[str], list[tuple[int, int]]]:
    draw, rng = np.random.default_rng(seed), random.Random(seed)
    vocabulary = np.array([f"word{index}" for index in range(50_000)])
    weights = 1 / np.arange(1, len(vocabulary) + 1)
    lengths = draw.integers(20, 181, number)
    words = draw.choice(vocabulary, lengths.sum(), p=weights / weights.sum())
    documents = [part.tolist() for part in np.split(words, np.cumsum(lengths)[:-1])]
    origins = []
    for at in range(1, number):
        if rng.random() < 0.1:
            origin = rng.randrange(at)
            copy = list(documents[origin])
            for _ in range(rng.randint(0, max(1, len(copy) // 25))):
                copy[rng.randrange(len(copy))] = f"other{rng.randrange(10**6)}"
            documents[at] = copy
            origins.append((origin, at))
    return [" ".join(document) for document in documents], origins


def overlap(a: str, b: str) -> float:
    first, second = (
        set(zip(*(text.split()[start:] for start in range(WORDS)), strict=False)) for text in (a, b)
    )
    return len(first & second) / len(first | second)


def find_ours(texts: list[str], threshold: float) -> Pairs:
    pairs = find_similar_pairs(hash_shingles(texts, n=WORDS), threshold)
    return set(zip(pairs.earlier.tolist(), pairs.later.tolist(), strict=True))


def find_with_rensa(texts: list[str], threshold: float) -> Pairs:
    from rensa import RMinHash, RMinHashLSH

    index = RMinHashLSH(threshold=threshold, num_perm=128, num_bands=16 if threshold > 0.7 else 32)
    found: Pairs = set()
    for at, text in enumerate(texts):
        words = text.split()
        signature = RMinHash(num_perm=128, seed=1)
        signature.update([" ".join(words[start : start + WORDS]) for start in range(len(words) - WORDS + 1)])
        found |= {(other, at) for other in index.query(signature)}
        index.insert(at, signature)
    return {pair for pair in found if overlap(texts[pair[0]], texts[pair[1]]) >= threshold}


def find_with_datasketch(texts: list[str], threshold: float) -> Pairs:
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=threshold, num_perm=128)
    found: Pairs = set()
    for at, text in enumerate(texts):
        words = text.split()
        signature = MinHash(num_perm=128)
        signature.update_batch(
            [" ".join(words[start : start + WORDS]).encode() for start in range(len(words) - WORDS + 1)]
        )
        found |= {(other, at) for other in index.query(signature)}
        index.insert(at, signature)
    return {pair for pair in found if overlap(texts[pair[0]], texts[pair[1]]) >= threshold}


FINDERS: dict[str, Callable[[list[str], float], Pairs]] = {
    "curate": find_ours,
    "rensa": find_with_rensa,
    "datasketch": find_with_datasketch,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--threshold", type=float, default=0.8)
    parser.add_argument("--peers", nargs="*", default=[], choices=sorted(set(FINDERS) - {"curate"}))
    arguments = parser.parse_args()
    texts, origins = make_documents(arguments.documents, seed=1)
    truth = {pair for pair in origins if overlap(texts[pair[0]], texts[pair[1]]) >= arguments.threshold}
    find_ours(texts[:100], arguments.threshold)  # compiled
    print(f"{len(texts):,} documents, {len(truth):,} pairs at {arguments.threshold} or above")
    print(
        f"{'':12}{'documents/s':>14}{'seconds':>10}{'CPU s':>8}{'recall':>9}{'precision':>11}{'× curate':>10}"
    )
    base = None
    for name in ["curate", *arguments.peers]:
        started, processor = time.perf_counter(), time.process_time()
        found = FINDERS[name](texts, arguments.threshold)
        seconds, processor = time.perf_counter() - started, time.process_time() - processor
        base = base or seconds
        recall = len(found & truth) / len(truth)
        right = sum(overlap(texts[a], texts[b]) >= arguments.threshold for a, b in found)
        print(
            f"{name:12}{len(texts) / seconds:14,.0f}{seconds:10.2f}{processor:8.2f}{recall:9.3f}"
            f"{right / max(len(found), 1):11.3f}{base / seconds:10.2f}"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


if __name__ == "__main__":
    main()
