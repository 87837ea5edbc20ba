"""Learns which target words each source word is likely to become.

    P pairs   L links: a source position and a target position of the same pair
    V_s, V_t vocabularies

IBM Model 1 (Brown et al. 1993, section 4.1) counts how often two words translate each other in the
training pairs, as an expectation over all alignments. It needs no pass of the network, and serves
models without attention as well.
"""

from collections.abc import Iterable
from itertools import islice

import numpy as np

from dragoman.data.lines import blocks
from dragoman.data.source import Source
from dragoman.data.tokenizer import EOS, Ids
from dragoman.runtime.shortlist import Shortlist
from dragoman.runtime.weights import Array

LIKELY, FREQUENT = 4, 1024
"""Most candidates of a source word, and those of every sentence: the most frequent words.

With these sizes 97 % of greedy outputs are those without a shortlist (``docs/log.md``).
"""
_PAIRS = 200_000
"""Training pairs that are read."""
_AT_A_TIME = 4096
_ITERATIONS = 4


def learn_shortlist(pairs: Iterable[tuple[Source, Ids]], sizes: tuple[int, int]) -> Shortlist:
    """Learn from training pairs.

    Args:
        pairs: source and target ids.
        sizes: V_s and V_t.
    """
    sources, targets = sizes
    links, counts = [], np.zeros(targets, np.int64)
    for block in blocks(islice(pairs, _PAIRS), _AT_A_TIME):
        links.append(_links(block, targets))
        known = np.concatenate([ids[ids < targets] for _, ids in block])
        counts += np.bincount(known, minlength=targets)
    known = np.unique(np.concatenate([np.zeros(0, np.int64), *(np.unique(k) for k, _ in links)]))
    source, share = known // targets, np.ones(len(known))
    for _ in range(_ITERATIONS):
        total = np.zeros(len(known))
        for keys, positions in links:
            at = np.searchsorted(known, keys)
            mass = np.bincount(positions, share[at])
            total += np.bincount(at, share[at] / mass[positions], len(known))
        share = total / np.bincount(source, total, sources)[source]
    order = np.lexsort((-total, source))
    source, words = source[order], (known % targets)[order]
    kept = np.arange(len(source)) - np.searchsorted(source, source) < LIKELY
    starts = np.searchsorted(source[kept], np.arange(sources + 1))
    frequent = np.argsort(-counts, kind="stable")[:FREQUENT]
    return Shortlist(*(one.astype(np.int32) for one in (starts, words[kept], frequent)))


def _links(pairs: list[tuple[Source, Ids]], targets: int) -> tuple[Array, Array]:
    """The links of some pairs; a target word may also come from the end of its source.

    Returns:
        Source word x V_t + target word, and the number of the target position, [L] both.
    """
    keys, positions, begun = [], [], 0
    for source, target in pairs:
        ids, said = np.append(source.ids, EOS).astype(np.int64), target[target < targets]
        keys.append((ids * targets + said[:, None]).ravel())
        positions.append(np.repeat(np.arange(begun, begun + len(said)), len(ids)))
        begun += len(said)
    return np.concatenate(keys), np.concatenate(positions)
