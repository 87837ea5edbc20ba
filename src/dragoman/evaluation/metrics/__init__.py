"""Scores of output text against references. Each score is a module of this package.

To add a score, add a module with a function
``measure(outputs, references, characters) -> Measure | None`` and its name to :data:`TEXT_SCORES`.
None stands for a score that would take too long. A module is imported when its score is wanted, so
that nothing else needs the library behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from dragoman.errors import DataError
from dragoman.evaluation.measure import Measure, References

TEXT_SCORES = ("bleu", "chrf", "ter", "exact", "errors")
"""The modules, in the order in which their scores are shown."""


def measures(
    outputs: Sequence[str],
    references: References,
    keys: Sequence[str] = TEXT_SCORES,
    *,
    characters: bool = False,
) -> tuple[Measure, ...]:
    """Compare outputs with references.

    Args:
        outputs: what a model answered, as text.
        references: the texts that are right, for each output.
        keys: the scores that are wanted, of :data:`TEXT_SCORES`.
        characters: count edits in characters, instead of words between spaces.

    Raises:
        DataError: there are not as many outputs as references, or there are none.
    """
    if len(outputs) != len(references):
        raise DataError(f"{len(outputs)} outputs for {len(references)} references")
    if not outputs:
        raise DataError("there is nothing to score")
    modules = (import_module(f"{__name__}.{key}") for key in TEXT_SCORES if key in keys)
    found = (module.measure(outputs, references, characters) for module in modules)
    return tuple(measure for measure in found if measure is not None)
