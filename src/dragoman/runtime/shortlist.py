"""The likely target words of each source word, to which search can be limited.

    B sentences   S source tokens   K candidates of a sentence   V_s, V_t vocabularies
    P pairs   L links: a source position and a target position of the same pair

The words are learned when a model is exported. IBM Model 1 (Brown et al. 1993, section 4.1) counts
how often two words translate each other in the training pairs, as an expectation over all
alignments. It needs no pass of the network, and serves models without attention as well.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from dragoman.data.lines import blocks
from dragoman.data.source import Source
from dragoman.data.tokenizer import BOS, EOS, PAD, UNK, Ids
from dragoman.errors import FolderError
from dragoman.runtime.graph import filled
from dragoman.runtime.weights import Array
from dragoman.search.network import Integers

LIKELY, FREQUENT = 4, 1024
"""Most candidates of a source word, and those of every sentence: the most frequent words.

With these sizes 97 % of greedy outputs are those without a shortlist (``docs/log.md``).
"""
_PAIRS = 200_000
"""Training pairs that are read."""
_AT_A_TIME = 4096
_ITERATIONS = 4


class Shortlist(NamedTuple):
    """Candidates for the words of an output, by the words of its source."""

    starts: Array
    """Where the words of each source token begin in ``words``, and the end, int32 [V_s + 1]."""
    words: Array
    """Target tokens, int32."""
    always: Array
    """Target tokens that are candidates of every sentence, int32."""

    @classmethod
    def of(cls, arrays: Mapping[str, Array], sizes: tuple[int, int], place: str) -> "Shortlist":
        """Check the arrays of a file.

        Args:
            arrays: by name.
            sizes: number of source and target tokens.
            place: the file, for messages.

        Raises:
            FolderError: they are no shortlist of these vocabularies.
        """
        # Plain arrays: a slice of a mapped file takes ten times as long.
        starts, words, always = (np.asarray(arrays.get(name, np.zeros(0))) for name in cls._fields)
        every = np.concatenate((words, always))
        fits = all(one.ndim == 1 and one.dtype == np.int32 for one in (starts, words, always))
        fits = fits and len(starts) == sizes[0] + 1 and bool((np.diff(starts) >= 0).all())
        fits = fits and starts[0] == 0 and starts[-1] == len(words)
        if not fits or every.min(initial=0) < 0 or every.max(initial=0) >= sizes[1]:
            raise FolderError("is not a shortlist of these vocabularies", place=place)
        return cls(starts, words, always)

    def candidates(self, sources: Sequence[Source]) -> Integers:
        """The candidates of each sentence in ascending order, filled up with PAD: [B, K].

        They are the likely words of its tokens, the words that it can copy, and those that its
        output is asked to hold. Each depends on its own sentence alone.
        """
        rows = []
        fixed = self.always, np.array([UNK, BOS, EOS], np.int32)
        for source in sources:
            ids = np.append(source.ids, EOS)
            begin, end = self.starts[ids].tolist(), self.starts[ids + 1].tolist()
            likely = [self.words[slice(*one)] for one in zip(begin, end, strict=True)]
            every = np.concatenate((*fixed, *likely, source.copies, source.wanted))
            taken = np.zeros(int(every.max()) + 1, np.bool_)
            taken[every] = True
            rows.append(np.flatnonzero(taken))
        found = np.full((len(rows), filled(max(map(len, rows)))), PAD, np.int64)
        for row, words in zip(found, rows, strict=True):
            row[: len(words)] = words
        return found


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
