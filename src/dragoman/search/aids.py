"""What users know better than the model: whole answers, terms, and texts that stay as they are."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dragoman.config.options import DataOptions
from dragoman.data.pairs import Faults, Pair
from dragoman.data.readers import read_pairs
from dragoman.errors import DataError
from dragoman.search.keep import UNSPACED
from dragoman.search.request import Request
from dragoman.search.tags import MARK

_LETTER = rf"[^\W{UNSPACED}]"
"""A letter or digit of a script that writes spaces between words."""
_EDGE = re.compile(f"(?<!{_LETTER})|(?!{_LETTER})")
"""A place that is not inside of a word."""


class Memory:
    """Answers to whole lines, marks of a document left out: a lexicon or a translation memory.

    Args:
        pairs: a source and one of its answers each; the first answer to a source is its best.
        ignore: ``case`` and ``spaces`` (their number, and those at the ends) may differ.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]], ignore: Collection[str] = ()) -> None:
        self._ignore = frozenset(ignore)
        self._answers: dict[str, dict[str, None]] = {}  # a dict keeps the order
        for source, answer in pairs:
            self._answers.setdefault(self._key(source), {})[answer] = None

    def answers(self, source: str) -> tuple[str, ...]:
        """The answers to a source, the best one first; none where it is not known."""
        return tuple(self._answers.get(self._key(source), ()))

    def _key(self, source: str) -> str:
        source = MARK.sub("", source.lower() if "case" in self._ignore else source)
        return " ".join(source.split()) if "spaces" in self._ignore else source


class Terms:
    """Words or phrases of a source, and their forms, one of which must be in the output.

    Upper and lower case of a term are the same. A term counts where no letter stands beside it; in
    scripts that write no spaces between words, anywhere.

    Args:
        forms: of each term.
    """

    def __init__(self, forms: Mapping[str, Sequence[str]]) -> None:
        self._forms = {term.lower(): tuple(each) for term, each in forms.items()}
        self._lengths = sorted({len(term) for term in self._forms}, reverse=True)

    def within(self, source: str) -> dict[tuple[str, ...], int]:
        """The forms of each term of a source, and where it stands first.

        A term inside of a longer one does not count.
        """
        lower = source.lower()
        source = lower if len(lower) == len(source) else source  # "İ" has two letters in lower case
        edges = {match.start() for match in _EDGE.finditer(source)} if self._forms else set()
        found, end = dict[tuple[str, ...], int](), 0
        for start in sorted(edges):
            texts = (source[start : start + n] for n in self._lengths if start + n in edges)
            term = next((text for text in texts if text in self._forms), "")
            if term and start >= end:
                found.setdefault(self._forms[term], start)
                end = start + len(term)
        return found


@dataclass(frozen=True)
class Aids:
    """What a user gives beside a model."""

    memory: Memory = field(default_factory=lambda: Memory(()))
    """Whole lines, which it answers in the model's place."""
    terms: Terms = field(default_factory=lambda: Terms({}))
    """Terms that the output must have in one of these forms."""
    keep: re.Pattern[str] | None = None
    """What stays as it is, in its place (:mod:`dragoman.search.keep`)."""
    target_tag: str = ""
    """The tag of every line that lacks only its last column of features, such as the language to
    write; without it that of the training, ``data.target_tag``."""


NO_AIDS = Aids()


def read_memory(
    file: Path | None, ignore: Collection[str] = (), columns: int = 0, tags: Collection[str] = ()
) -> Memory:
    """Read a file of pairs: sources and their answers; without a file nothing is known.

    Args:
        file: the file.
        ignore: what may differ between a line and one of the memory: ``case``, ``spaces``.
        columns: number of columns of features between a source and its answer.
        tags: known tags of the column that the target tag fills; a memory whose answers are all
            such tags has this column too many.

    Raises:
        DataError: the file cannot be read or has lines that are no pairs, or too many columns.
    """
    answers = [(pair.source, pair.target.strip()) for pair in _lines(file, columns)]
    if answers and {answer for _, answer in answers} <= set(tags):
        cause, cure = "its answers are tags", "leave out the column of the target tag"
        raise DataError(cause, place=f"{file}: column {2 + columns}", cure=cure)
    return Memory(answers, ignore)


def read_terms(file: Path | None, check: Callable[[Request], None] | None = None) -> Terms:
    """Read a file with a source term, a tab, and its forms with commas between on each line.

    Args:
        file: the file; without one there are no terms.
        check: raises an error where the model cannot write a term's forms; None where that shows
            only in a line, as with a model that reads features.

    Raises:
        DataError: the file cannot be read or has lines that are no pairs; a form is empty, or a
            term stands in two lines.
    """
    forms = dict[str, tuple[str, ...]]()
    for pair in _lines(file):
        name, place = pair.source.strip().lower(), f"{file}:{pair.line}"
        texts = tuple(form.strip() for form in pair.target.split(","))
        if not all(texts):
            cure = "write forms between the commas: dog, dogs"
            raise DataError(f"a form of {name!r} is empty", place=place, cure=cure)
        if name in forms:
            cause, cure = f"{name!r} has an earlier line", "write all its forms into one line"
            raise DataError(cause, place=place, cure=cure)
        if check is not None:
            check(Request(name, must=(texts,), place=place))
        forms[name] = texts
    return Terms(forms)


def _lines(file: Path | None, columns: int = 0) -> Iterator[Pair]:
    options = DataOptions(format="tsv", header=False, tolerance=0.0)
    features = tuple(range(2, 2 + columns))
    options = replace(options, columns=(1, 2 + columns), features_column=features)
    return iter(()) if file is None else read_pairs([file], options, Faults())
