"""Baselines: answers that need no model, whose scores a model must beat.

M training pairs   G distinct trigrams of all texts
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dragoman.data.tokenizer import UNK, Ids, Tokenizer
from dragoman.errors import FolderError
from dragoman.layout import CORPUS, TRAIN

_MOST = 500_000
"""Most training pairs that are read; of more, as many are taken at even distances."""
_HASH = np.uint64(0x9E3779B97F4A7C15)
"""Multiplier of the hash of a trigram (2^64 divided by the golden ratio, Knuth 1973)."""

Form = Callable[[str], str]
"""Brings a text to the form in which it is compared."""


@dataclass(frozen=True, slots=True)
class TrainingPairs:
    """The pairs that a model learned from, as its tokenizers read them."""

    sources: tuple[str, ...]
    targets: tuple[Ids, ...]
    total: int
    """Number of all training pairs."""
    target: Tokenizer

    def baselines(self, sources: Sequence[str]) -> dict[str, list[str]]:
        """Answers to ``sources``: ``frequent`` is always the most frequent target, ``nearest`` the
        target of the most similar training source.
        """
        counts = Counter(ids.tobytes() for ids in self.targets)
        frequent = self.target.decode(np.frombuffer(counts.most_common(1)[0][0], np.int32))
        answers = [self.target.decode(self.targets[n]) for n in nearest(sources, self.sources)]
        return {"frequent": [frequent] * len(sources), "nearest": answers}


def answers_without_model(
    sources: Sequence[str], source: Tokenizer, form: Form, training: TrainingPairs | None
) -> dict[str, list[str]]:
    """Answers of every baseline: ``copy`` is the source without its tags, see also
    :meth:`TrainingPairs.baselines`.

    Args:
        sources: raw text.
        source: its tokenizer.
        form: normalises a target.
        training: what the model learned from; without it there is ``copy`` alone.
    """
    answers = {"copy": [form(source.tags.words(text)) for text in sources]}
    if training is not None and sources:
        answers |= training.baselines(list(map(source.normalize, sources)))
    return answers


def no_better(scores: Mapping[str, float], baselines: Mapping[str, Mapping[str, float]]) -> str:
    """A sentence about the scores in which the best baseline reaches the model; empty if none does.

    Args:
        scores: of the model, by name; higher is better.
        baselines: of each baseline the scores by the same names. A score of 0 is not compared.
    """
    found = []
    for name, score in scores.items():
        best, which = max(((b[name], which) for which, b in baselines.items()), default=(0, ""))
        if best > 0 and best >= score:
            found.append(f"{name} {score:.1f}, but {best:.1f} of the answers {which!r}")
    return f"No better than answers without a model: {'; '.join(found)}." if found else ""


def training_pairs(
    folder: Path, source: Tokenizer, target: Tokenizer, most: int = 0
) -> TrainingPairs | None:
    """Read the pairs that the model of ``folder`` learned from, or ``most`` of them at even
    distances; None where they cannot be read."""
    from dragoman.data.corpus import Corpus  # pyarrow

    try:
        corpus = Corpus(folder / CORPUS / TRAIN)
    except FolderError:  # damaged, of another version, or not kept: a model is complete without
        return None
    rows = np.linspace(0, len(corpus) - 1, min(len(corpus), most or _MOST)).round().astype(int)
    pairs = [corpus.pair(int(row)) for row in rows]
    sources = tuple(source.decode(one.ids) for one, _ in pairs)
    # A word that can only be copied (data/source.py) has an id outside the vocabulary.
    targets = tuple(np.where(ids < len(target), ids, UNK) for _, ids in pairs)
    return TrainingPairs(sources, targets, len(corpus), target)


def nearest(queries: Sequence[str], texts: Sequence[str]) -> list[int]:
    """For each query the row of the most similar text.

    Similarity is the Dice coefficient, 2 |A ∩ B| / (|A| + |B|), of their sets of character
    trigrams; the ends of a text count as characters, case does not. The first of equals is taken.
    """
    trigrams, owners = _trigrams(texts)  # [G]
    sizes = np.bincount(owners, minlength=len(texts))  # [M]
    asked, askers = _trigrams(queries)
    order = np.argsort(askers, kind="stable")
    found = []
    for wanted in np.split(asked[order], np.flatnonzero(np.diff(askers[order])) + 1):
        starts, ends = (np.searchsorted(trigrams, wanted, side) for side in ("left", "right"))
        common = np.concatenate([owners[a:b] for a, b in zip(starts, ends, strict=True)])
        shared = np.bincount(common, minlength=len(texts))  # [M]
        found.append(int(np.argmax(shared / (sizes + len(wanted)))))
    return found


def _trigrams(texts: Sequence[str]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Hashes of the distinct trigrams of each text, sorted, and the text's row: both [G]."""
    framed = [f"\2\2{text.casefold()}\3" for text in texts]  # so that the empty text has a trigram
    points = np.frombuffer("".join(framed).encode("utf-32-le", "replace"), np.uint32)
    owners = np.repeat(np.arange(len(texts), dtype=np.uint64), [len(text) for text in framed])
    first, second, third = points[:-2].astype(np.uint64), points[1:-1], points[2:]
    hashes = ((first * _HASH + second) * _HASH + third) * _HASH >> np.uint64(32)
    whole = owners[:-2] == owners[2:]
    both = np.sort(hashes[whole] << np.uint64(32) | owners[:-2][whole])
    both = both[np.append(True, both[1:] != both[:-1])]  # ten times as fast as np.unique
    return (both >> np.uint64(32)).astype(np.uint32), both.astype(np.uint32)
