"""The likely target words of each source word, to which search can be limited.

B sentences   S source tokens   K candidates of a sentence   V vocabulary
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from dragoman.data.source import Source
from dragoman.data.tokenizer import BOS, EOS, PAD, UNK
from dragoman.errors import FolderError
from dragoman.runtime.graph import filled
from dragoman.runtime.weights import Array
from dragoman.search.network import Integers


class Shortlist(NamedTuple):
    """Candidates for the words of an output, by the words of its source."""

    starts: Array
    """Where the words of each source token begin in ``words``, and the end, int32 [V + 1]."""
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
