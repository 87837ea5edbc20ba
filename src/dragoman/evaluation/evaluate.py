"""A model's scores on pairs that it has not learned from."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dragoman.config import SearchOptions
from dragoman.data.corpus import Corpus
from dragoman.data.prepare import FOLDER, RECORD, VALIDATION
from dragoman.errors import DataError
from dragoman.evaluation.metrics import Metric, score_texts
from dragoman.search.translator import Translator

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model made of a test set."""

    name: str
    """Which test set."""
    metrics: tuple[Metric, ...]
    outputs: tuple[str, ...]
    seconds: float
    search: str
    """How the outputs were looked for: ``beam 5, length penalty 1``."""
    left_out: int = 0
    """Lines of the test file that are no pairs, and so were not scored."""

    def to_json(self) -> str:
        """Everything but the outputs, as JSON."""
        return json.dumps(
            {
                "test": self.name,
                "lines": len(self.outputs),
                "left_out": self.left_out,
                "search": self.search,
                "seconds": round(self.seconds, 3),
                "scores": {
                    m.name: {"value": round(m.value, 4), "signature": m.signature}
                    for m in self.metrics
                },
            },
            ensure_ascii=False,
            indent=1,
        )


def held_out_pairs(folder: Path) -> list[tuple[str, str]]:
    """The pairs that a training run was validated on, as raw text.

    Raises:
        DataError: the folder does not hold them (they do not travel with an exported model).
    """
    path = folder / FOLDER / VALIDATION
    if not path.exists():
        raise DataError(
            "holds no held-out pairs", place=str(folder), cure="name a file of test pairs"
        )
    return Corpus(path).texts()


def held_out_name(folder: Path) -> str:
    """What those pairs are: held out, or training pairs where there were too few to hold any."""
    try:
        held_out = json.loads((folder / RECORD).read_text("utf-8"))["held_out"]
    except (OSError, ValueError, KeyError, TypeError):
        return "validation pairs of the training run"
    return "held-out pairs of the training run" if held_out else "TRAINING pairs (none held out)"


def evaluate_pairs(
    translator: Translator, pairs: Pairs, options: SearchOptions, *, name: str, left_out: int = 0,
    more: tuple[Metric, ...] = (),
) -> Evaluation:  # fmt: skip
    """Translate the sources and compare with the references.

    References are brought to the form that the model was trained to give (its normalisation:
    NFC and single spaces unless it was told to do more), and nothing else is done to either.
    ``more`` are scores that were found otherwise, to be shown beside these.
    """
    began = time.monotonic()
    outputs = [t.text for t in translator.translate((s for s, _ in pairs), options)]
    took = time.monotonic() - began
    references = [translator.target.normalize(target) for _, target in pairs]
    metrics = (*score_texts(outputs, references).values(), *more)
    search = f"beam {options.beam}, length penalty {options.length_penalty:g}"
    return Evaluation(name, metrics, tuple(outputs), took, search, left_out)
