"""Test sets: sources, each with its references, the texts that count as right."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from dragoman.data.pairs import Pair
from dragoman.errors import DataError
from dragoman.layout import CORPUS, VALIDATION

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Examples:
    """A test set."""

    name: str
    sources: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]
    """At least one text for each source."""
    records: tuple[tuple[int, ...], ...]
    """Of each source, the records of the file that it was made of, counted from 1."""
    left_out: int = 0
    """Number of records of the test file that are not pairs."""
    validation: bool = False
    """Whether they are the pairs that the training was validated on."""

    def by_record(self, outputs: Sequence[str]) -> list[str]:
        """The output for each record of the file; empty for a record that is not a pair."""
        found = zip(self.records, outputs, strict=True)
        texts = {record: text for records, text in found for record in records}
        return [texts.get(n, "") for n in range(1, len(texts) + self.left_out + 1)]

    def pairs(self) -> list[tuple[str, str]]:
        """Each source with its first reference."""
        return [(s, right[0]) for s, right in zip(self.sources, self.references, strict=True)]

    def with_references(self, change: Callable[[str], str]) -> Self:
        """A copy in which ``change`` is applied to every reference."""
        changed = tuple(tuple(map(change, right)) for right in self.references)
        return replace(self, references=changed)


def examples_of(
    pairs: Iterable[Pair], name: str, *, multiple_references: bool = False, left_out: int = 0
) -> Examples:
    """Make a test set of ``pairs``, in their order.

    Args:
        pairs: those of a file, or numbered from 1 on by their ``record``.
        name: of the test set, for people.
        multiple_references: take each source once, with all its targets as references (as for the
            several pronunciations of a word). Otherwise each pair is an example of its own, as is
            usual for translation.
        left_out: number of records of the file that are not pairs.

    Raises:
        DataError: there are no pairs.
    """
    pairs = list(pairs)
    if not pairs:
        raise DataError("there is nothing to score", place=name)
    groups = dict[str | int, list[Pair]]()
    for row, pair in enumerate(pairs):
        groups.setdefault(pair.source if multiple_references else row, []).append(pair)
    sources = tuple(same[0].source for same in groups.values())
    targets = tuple(tuple(dict.fromkeys(p.target for p in same)) for same in groups.values())
    records = tuple(tuple(pair.record for pair in same) for same in groups.values())
    return Examples(name, sources, targets, records, left_out)


def held_out_examples(folder: Path, given: str, record: dict[str, Any], multiple: bool) -> Examples:
    """The pairs that a run was validated on, as a test set.

    They are training pairs in a run that had too few to hold some out; the name says so.

    Args:
        folder: of the run.
        given: what the user named, for messages.
        record: its ``run.json``.
        multiple: take each source once, with all its targets as references.

    Raises:
        DataError: the folder does not hold them, as after an export.
    """
    path, name = folder / CORPUS / VALIDATION, "held-out pairs of the training run"
    if not path.exists():
        raise DataError("holds no held-out pairs", place=given, cure="name a file of test pairs")
    from dragoman.data.corpus import Corpus  # pyarrow

    if "refit" in record:
        name = "TRAINING pairs (held out at first, known since the refit)"
    elif not record.get("held_out", True):
        name = "TRAINING pairs (none held out)"
    pairs = (Pair(*texts, 0, n) for n, texts in enumerate(Corpus(path).texts(), 1))
    return replace(examples_of(pairs, name, multiple_references=multiple), validation=True)
