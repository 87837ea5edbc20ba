"""Measures that a bundle says what its model folder says, on pairs of text."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from dragoman.config.options import SearchOptions
from dragoman.errors import DataError
from dragoman.evaluation.examples import Pairs
from dragoman.evaluation.metrics import measures
from dragoman.search.translator import Translator

LARGEST_DIFFERENCE = 0.01
"""Of a token's log-probability in fp32, between the bundle and torch."""
LARGEST_LOSS = 1.0
"""Of BLEU, between the folder and the bundle."""
FEWEST_EQUAL, LARGEST_CHANGE = 0.95, 0.2
"""A shortlist is used unless asked otherwise where at least this share of greedy outputs are those
without it, and BLEU changes by no more than this."""


def parity(
    translators: Mapping[str, Translator], pairs: Pairs, options: SearchOptions, *, int8: bool
) -> dict[str, Any]:
    """Compare a bundle with the model folder.

    Args:
        translators: ``folder``, the model in torch; ``bundle``, without its shortlist; and
            ``shortlist``, the bundle with its shortlist if it has one.
        pairs: of text.
        options: of the model's search; the outputs that are compared are greedy.
        int8: the bundle is in 8 bits.

    Raises:
        DataError: the differences are too large; the message holds the figure.
    """
    greedy = replace(options, beam=1, n_best=1, temperature=0.0, int8=False)
    sources = [source for source, _ in pairs]
    references = [(translators["folder"].target.normalize(target),) for _, target in pairs]
    steps = [
        np.array([step for one in each.score(pairs, greedy) for step in one.hypothesis.steps])
        for each in (translators["folder"], translators["bundle"])
    ]
    found: dict[str, Any] = {"lines": len(pairs)}
    found["largest_difference"] = round(float(np.abs(steps[0] - steps[1]).max(initial=0)), 7)
    said = {}
    for name, one in translators.items():
        said[name] = [answer.text for answer in one.translate(sources, greedy)]
        (bleu,) = measures(said[name], references, ("bleu",))
        found[f"bleu_{name}"] = round(bleu.value(), 2)
    for name, other in (("bundle", "folder"), ("shortlist", "bundle")):
        if name in said:
            same = [a == b for a, b in zip(said[name], said[other], strict=True)]
            found[f"equal_{name}"] = round(sum(same) / len(same), 4)
    differs = not int8 and found["largest_difference"] > LARGEST_DIFFERENCE
    if differs or found["bleu_folder"] - found["bleu_bundle"] > LARGEST_LOSS:
        cause, cure = f"says something else than the folder: {found}", "report this"
        raise DataError(cause, place="bundle", cure="export without --int8" if int8 else cure)
    return found


def shortlist_agrees(found: dict[str, Any]) -> bool:
    """Whether a shortlist hardly changes outputs, by what :func:`parity` returned."""
    change = abs(found["bleu_shortlist"] - found["bleu_bundle"])
    return bool(found["equal_shortlist"] >= FEWEST_EQUAL and change <= LARGEST_CHANGE)
