"""A model's scores on pairs that it has not learned from."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import Any

from dragoman.config import SearchOptions
from dragoman.evaluation.examples import Examples
from dragoman.evaluation.metrics import Measure, Metric, measures, plain
from dragoman.evaluation.significance import scored
from dragoman.search.translator import Translator


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model made of a test set."""

    examples: Examples
    """What was asked; the references in the form in which outputs were compared with them."""
    outputs: tuple[str, ...]
    measures: tuple[Measure, ...]
    """The scores, for any choice of lines."""
    metrics: tuple[Metric, ...]
    """The scores of all lines, with intervals."""
    seconds: float
    """Time that the search took."""
    search: str
    """How the outputs were looked for: ``beam 5, length penalty 1``."""
    notes: tuple[str, ...] = ()
    """What a reader of the scores must know."""

    def to_json(self) -> str:
        """Everything but the outputs, as JSON."""
        return json.dumps(self.tree(), ensure_ascii=False, indent=1)

    def tree(self) -> dict[str, Any]:
        """Everything but the outputs, as JSON has it."""
        return {
            "test": self.examples.name,
            "lines": len(self.outputs),
            "references": sum(map(len, self.examples.references)),
            "left_out": self.examples.left_out,
            "search": self.search,
            "seconds": round(self.seconds, 3),
            "scores": {
                m.name: {
                    "value": number(m.value), "interval": [number(m.low), number(m.high)],
                    "signature": m.signature,
                }
                for m in self.metrics
            },
            "notes": self.notes,
        }  # fmt: skip


def number(value: float) -> float | None:
    """A score as JSON has it: four digits after the point, null for what is none."""
    return round(value, 4) if math.isfinite(value) else None


def evaluate_examples(
    translator: Translator, examples: Examples, options: SearchOptions, *,
    characters: bool = False, raw_references: bool = False, more: tuple[Measure, ...] = (),
) -> Evaluation:  # fmt: skip
    """Translate the sources and compare with the references.

    References are brought to the form that the model was trained to give (its normalisation:
    NFC and single spaces unless it was told to do more), and nothing else is done to either.

    Args:
        translator: the model.
        examples: the test set.
        options: how outputs are looked for.
        characters: the target is spelt: edits are counted in characters.
        raw_references: leave the references as they stand.
        more: scores that were found otherwise, to be shown beside these.
    """
    began = time.monotonic()
    outputs = [t.text for t in translator.translate(examples.sources, options)]
    took = time.monotonic() - began
    judged = examples
    if not raw_references:
        judged = examples.with_references(translator.target.normalize)
    notes = _notes(examples, judged)
    found = measures(outputs, judged.references, characters=characters)
    if all(m.key != "ter" for m in found):
        notes.append("TER was left out: it would take minutes on lines as long as these")
    search = f"beam {options.beam}, length penalty {options.length_penalty:g}"
    every = (*found, *more)
    return Evaluation(judged, tuple(outputs), every, scored(every), took, search, tuple(notes))


def _notes(examples: Examples, judged: Examples) -> list[str]:
    """What was done to the test set."""
    notes = []
    if examples.left_out:
        notes.append(f"{examples.left_out} lines of {examples.name} are no pairs: not scored")
    if examples.repeated:
        notes.append(
            f"{examples.repeated} lines repeat a source: each was scored by itself "
            "(--multiple-references scores it once, against all its targets)"
        )
    before = [plain(text) for right in examples.references for text in right]
    after = [plain(text) for right in judged.references for text in right]
    changed = sum(a != b for a, b in zip(before, after, strict=True))
    if changed:
        notes.append(
            f"{changed} of {len(after)} references were normalised as the model's training targets "
            "were (--raw-references compares with them as they stand)"
        )
    return notes
