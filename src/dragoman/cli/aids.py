"""The options of verbs that take what a user knows better than the model."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from tyro.conf import UseAppendAction

from dragoman.api import Model
from dragoman.search.aids import Aids, read_memory, read_terms
from dragoman.search.keep import pattern_of


@dataclass(frozen=True, kw_only=True)
class AidOptions:
    """Options of what a user gives beside the lines."""

    target_tag: str = ""
    """The tag of every line that lacks its last column of features, such as
    the language to write (without it: the target tag of the training)."""
    memory: Path | None = None
    """A file of sources and their answers, with a tab between. A line that
    stands there is answered from it; the model answers the others. Columns of
    features, where lines have them, stand between source and answer."""
    memory_ignore: UseAppendAction[tuple[Literal["case", "spaces"], ...]] = ()
    """What may differ between a line and one of --memory."""
    terms: Path | None = None
    """A file of source terms, a tab, and the forms of each with commas between
    (Hund<TAB>dog, dogs). Where a line has the term, its output has one of the
    forms."""
    keep: UseAppendAction[tuple[str, ...]] = ()
    """What stays as it is, at its place: usual (URLs, e-mail addresses, fields
    such as {0} and %s, tags such as <b>), numbers, or a regular expression.
    The model reads the line without it."""

    def read(self, model: Model, options: dict[str, Any]) -> Aids:
        """Read the files, and check them with a model and its options of search."""
        tag = Aids(target_tag=self.target_tag or model.config.data.target_tag)
        translator, search = model.translator(options, tag)
        tags = translator.source.tags
        known = tags.of_column(tags.columns) if tag.target_tag else set()
        columns = tags.columns - bool(tag.target_tag)
        check = None if columns else partial(translator.check, options=search)
        terms = read_terms(self.terms, check)
        memory = read_memory(self.memory, self.memory_ignore, columns, known)
        return Aids(memory, terms, pattern_of(self.keep), self.target_tag)
