"""A model's scores on pairs that it has not learned from."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from dragoman.config.options import SearchOptions
from dragoman.config.toml import flat
from dragoman.data.tokenizer import UNK
from dragoman.evaluation.baselines import TrainingPairs
from dragoman.evaluation.breakdown import Breakdown, breakdown
from dragoman.evaluation.confidence import Confidence, calibration
from dragoman.evaluation.examples import Examples
from dragoman.evaluation.metrics import Measure, Metric, measures, plain
from dragoman.evaluation.mistakes import MISTAKES, mistakes
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
    """How the outputs were looked for: ``beam:5|length_penalty:1``."""
    baselines: dict[str, dict[str, float]]
    """What answers without a model score: by baseline, then by measure."""
    breakdown: Breakdown
    """The scores of some lines."""
    mistakes: dict[str, list[int]]
    """Lines of each kind of ``MISTAKES``, counted from 0; those with most edits first."""
    calibration: dict[str, Any] | None = None
    """How the model's confidence agrees with what was right; None for a model without."""
    notes: tuple[str, ...] = ()
    """What a reader of the scores must know."""

    def to_json(self, cases: int = 3) -> str:
        """Everything but the outputs, as JSON, with so many ``cases`` of each kind of mistake."""
        return json.dumps(self.tree(cases), ensure_ascii=False, indent=1)

    def case(self, line: int) -> dict[str, Any]:
        """One line, counted from 1 as in a file of outputs."""
        asked = self.examples
        return {
            "line": line + 1,
            "source": asked.sources[line],
            "output": self.outputs[line],
            "references": asked.references[line],
        }

    def tree(self, cases: int) -> dict[str, Any]:
        """What :meth:`to_json` writes."""
        return {
            "test": self.examples.name,
            "lines": len(self.outputs),
            "references": sum(map(len, self.examples.references)),
            "left_out": self.examples.left_out,
            "search": self.search,
            "seconds": round(self.seconds, 3),
            "scores": {m.name: asdict(m) for m in self.metrics},
            "baselines": self.baselines,
            "breakdown": self.breakdown,
            "mistakes": {
                kind: {
                    "meaning": MISTAKES[kind],
                    "count": len(lines),
                    "lines": sorted(line + 1 for line in lines),
                    "cases": [self.case(line) for line in lines[:cases]],
                }
                for kind, lines in self.mistakes.items()
            },
            "calibration": self.calibration,
            "notes": self.notes,
        }


def evaluate_examples(
    translator: Translator,
    examples: Examples,
    options: SearchOptions,
    *,
    training: TrainingPairs | None,
    confidence: Confidence | None = None,
    characters: bool = False,
    raw_references: bool = False,
    more: tuple[Measure, ...] = (),
) -> Evaluation:
    """Translate the sources and compare with the references.

    References are brought to the form that the model was trained to give (its normalisation:
    NFC and single spaces unless it was told to do more), and nothing else is done to either.

    Args:
        translator: the model.
        examples: the test set.
        options: how outputs are looked for.
        training: what the model learned from; without it some parts are left out.
        confidence: of the model, to be held against what was right.
        characters: the target is spelt: edits are counted in characters.
        raw_references: leave the references as they stand.
        more: scores that were found otherwise, to be shown beside these.
    """
    began = time.monotonic()
    answers = list(translator.translate(examples.sources, options))
    took = time.monotonic() - began
    form = str if raw_references else translator.target.normalize
    judged = examples.with_references(form)
    compare = partial(measures, references=judged.references, characters=characters)
    outputs = tuple(answer.text for answer in answers)
    found = (*compare(outputs), *more)
    sources = list(map(translator.source.normalize, examples.sources))
    others = {"copy": list(map(form, examples.sources))}
    others |= {} if training is None else training.baselines(sources)
    ids = translator.source.encode(examples.sources)
    lengths = [len(row) for row in ids]
    parts = breakdown(found, sources, lengths, None if training is None else training.sources)
    complete = [all(h.complete for h in answer.hypotheses[:1]) for answer in answers]
    wrong = mistakes(judged, outputs, complete, [UNK in row for row in ids], characters=characters)
    edits = next(m.statistics[:, 0] for m in found if m.key == "errors")
    return Evaluation(
        judged,
        outputs,
        found,
        scored(found),
        took,
        search=signature(options),
        baselines={k: {m.name: m.value() for m in compare(texts)} for k, texts in others.items()},
        breakdown=parts,
        mistakes={k: sorted(rows, key=lambda row: -edits[row]) for k, rows in wrong.items()},
        calibration=None if confidence is None else calibration(confidence, answers, found),
        notes=tuple(_notes(examples, judged, found, parts, training)),
    )


def signature(options: SearchOptions) -> str:
    """How outputs are looked for, in the manner of sacreBLEU's signatures.

    Beam and length penalty always, and whatever else is not at its default; never the batch size,
    which changes no output.
    """
    usual, shown = flat(SearchOptions()), {"beam", "length_penalty"}
    return "|".join(
        f"{name}:{value:g}" if isinstance(value, float) else f"{name}:{value}"
        for name, value in flat(options).items()
        if name in shown or (name != "batch_size" and value != usual[name])
    )


def _notes(
    examples: Examples,
    judged: Examples,
    found: Sequence[Measure],
    parts: Breakdown,
    training: TrainingPairs | None,
) -> Iterator[str]:
    """What was done to the test set, what of it was learned from, and what was left out."""
    lines = len(examples.sources)
    if examples.left_out:
        yield f"{examples.left_out} lines of {examples.name} are no pairs: not scored"
    if repeated := lines - len(set(examples.sources)):
        yield (
            f"{repeated} lines repeat a source: each was scored by itself "
            "(--multiple-references scores it once, against all its targets)"
        )
    before = [plain(text) for right in examples.references for text in right]
    after = [plain(text) for right in judged.references for text in right]
    if changed := sum(a != b for a, b in zip(before, after, strict=True)):
        yield (
            f"{changed} of {len(after)} references were normalised as the model's training targets "
            "were (--raw-references compares with them as they stand)"
        )
    if all(m.key != "ter" for m in found):
        yield "TER was left out: it would take minutes on lines as long as these"
    if training is None:
        yield (
            "the folder has no training pairs to read: two baselines, overlap and the breakdown by "
            "words are left out"
        )
    elif len(training.sources) < training.total:
        yield f"{len(training.sources)} of {training.total} training pairs were looked at"
    if seen := int(parts.get("source", {}).get("seen", {}).get("lines", 0)):
        yield (
            f"{seen} of {lines} sources ({seen / lines:.1%}) are in the training pairs, but for "
            "case and punctuation (--breakdown scores the others apart)"
        )
