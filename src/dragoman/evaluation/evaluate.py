"""Evaluates a model on a test set: its scores, baselines without a model, and scores of parts."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from dragoman.config.options import Config, SearchOptions
from dragoman.data.invisible import sentence_key
from dragoman.evaluation.baselines import TrainingPairs, answers_without_model, no_better
from dragoman.evaluation.examples import Examples
from dragoman.evaluation.metrics import Measure, Texts, measures, plain, with_intervals
from dragoman.search.translator import Translator

APART = 5.0
"""Points of exact match by which a test set differs noticeably from the validation pairs."""
_LENGTHS = {0: "0–4", 5: "5–8", 9: "9–16", 17: "17–32", 33: "33+"}
"""Ranges of a source's length in tokens, by their first number."""
_COUNTS = {0: "0 ×", 1: "1–9 ×", 10: "10–99 ×", 100: "100–999 ×", 1000: "1000+ ×"}
"""Ranges of a word's count in the training sources, by their first number."""
_SEEN = {0: "unseen", 1: "seen"}
"""Whether a source is among the training sources."""

Breakdown = dict[str, dict[str, dict[str, float]]]
"""By kind of part and then by part: the number of its ``lines``, and its scores by name."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model's outputs for a test set, and their scores."""

    examples: Examples
    """The test set, with references in the form that outputs were compared with."""
    outputs: tuple[str, ...]
    measures: tuple[Measure, ...]
    """The scores, with intervals; those of some lines can be computed from them as well."""
    search: str
    """Options of the search: ``beam:5|length_penalty:1``."""
    baselines: dict[str, dict[str, float]]
    """Scores of answers that need no model, by baseline and then by name of the score."""
    breakdown: Breakdown
    """Scores of parts of the test set."""
    notes: tuple[str, ...] = ()
    """Facts about the test set that a reader of the scores must know."""

    def tree(self) -> dict[str, Any]:
        """All but the outputs as JSON values."""
        scores = {}
        for m in self.measures:
            facts = {"name": m.name, "value": m.value(), "signature": m.signature}
            scores[m.name] = facts | {"interval": m.interval}
        return {
            "test": self.examples.name,
            "lines": len(self.outputs),
            "references": sum(map(len, self.examples.references)),
            "left_out": self.examples.left_out,
            "search": self.search,
            "scores": scores,
            "baselines": self.baselines,
            "breakdown": self.breakdown,
            "notes": self.notes,
        }


def evaluate_examples(
    translator: Translator,
    examples: Examples,
    config: Config,
    training: TrainingPairs | None,
    *,
    raw_references: bool = False,
    validated: float | None = None,
) -> Evaluation:
    """Translate the sources and compare with the references.

    References are normalised as the model's training targets were (NFC and single spaces, unless
    its options ask for more). Outputs are compared as they are. Edits are counted in characters
    where the model writes characters, else in words. Exact matches are the first scores where
    ``training.metric`` is ``"exact"``.

    Args:
        translator: the model.
        examples: the test set.
        config: the model's options; those of the group ``search`` are used to translate.
        training: the pairs that the model learned from; without them, two baselines and some parts
            are left out.
        raw_references: do not normalise the references.
        validated: exact match, in percent, on the pairs that training was validated on.
    """
    form = str if raw_references else translator.target.normalize
    judged, characters = examples.with_references(form), config.target.level == "char"
    compare = partial(measures, references=judged.references, characters=characters)
    outputs = tuple(one.text for one in translator.translate(examples.sources, config.search))
    found = with_intervals(compare(outputs))
    if config.training.metric == "exact":
        found = tuple(sorted(found, key=lambda m: m.key not in ("exact", "errors")))
    sources = list(map(translator.source.normalize, examples.sources))
    others = answers_without_model(examples.sources, translator.source, form, training)
    learned = None if training is None else training.sources
    lengths = list(map(len, translator.source.encode(examples.sources)))
    baselines = {k: {m.name: m.value() for m in compare(texts)} for k, texts in others.items()}
    parts = breakdown(found, sources, lengths, learned)
    result = Evaluation(judged, outputs, found, signature(config.search), baselines, parts)
    return replace(result, notes=tuple(_notes(examples, result, training, validated)))


def signature(options: SearchOptions) -> str:
    """The options of a search in the form of sacreBLEU's signatures.

    It holds beam and length penalty, and every other option that differs from its default, except
    the batch size, which changes no output.
    """
    usual, shown = vars(SearchOptions()), {"beam", "length_penalty"}
    return "|".join(
        f"{name}:{value:g}" if isinstance(value, float) else f"{name}:{value}"
        for name, value in vars(options).items()
        if name in shown or (name != "batch_size" and value != usual[name])
    )


def _notes(
    examples: Examples, result: Evaluation, training: TrainingPairs | None, validated: float | None
) -> Iterator[str]:
    """Yield a note about each fact that limits the scores: changes, overlap, what was left out."""
    lines = len(examples.sources)
    scores = {m.name: m.value() for m in result.measures if m.key in ("exact", "chrf", "bleu")}
    if verdict := no_better(scores, result.baselines):
        yield verdict
    value, interval = next((m.value(), m.interval) for m in result.measures if m.key == "exact")
    low, high = interval or (0.0, 100.0)
    if validated is not None and abs(value - validated) > APART and not low <= validated <= high:
        what = "harder" if value < validated else "easier"
        yield f"exact match is {value:.1f}, but was {validated:.1f} in validation: {what} lines"
    if examples.left_out:
        yield f"{examples.left_out} lines of {examples.name} are not pairs and were not scored"
    if repeated := lines - len(set(examples.sources)):
        yield f"{repeated} lines repeat a source (--multiple-references scores each source once)"
    before = [plain(text) for right in examples.references for text in right]
    after = [plain(text) for right in result.examples.references for text in right]
    if changed := sum(a != b for a, b in zip(before, after, strict=True)):
        yield f"{changed} of {len(after)} references were normalised (see --raw-references)"
    if lines > 1 and len(set(result.outputs)) == 1:
        yield f"every output is the same, whatever the source: {result.outputs[0]!r}"
    if training is None:
        yield "the folder holds no training pairs: two baselines and some parts are left out"
    elif len(training.sources) < training.total:
        yield f"{len(training.sources)} of {training.total} training pairs were read"
    if seen := int(result.breakdown.get("source", {}).get("seen", {}).get("lines", 0)):
        share = f"{seen} of {lines} sources ({seen / lines:.1%})"
        yield f"{share} are training sources (--breakdown scores the others apart)"


def breakdown(
    measures: Sequence[Measure], sources: Texts, lengths: Sequence[int], learned: Texts | None
) -> Breakdown:
    """Score lines by the length of their source, by how often the rarest word of the source is in
    the training sources, and by whether the source is a training source.

    Args:
        measures: the scores.
        sources: of the lines.
        lengths: number of tokens of each source.
        learned: the training sources; compared without case and punctuation. None: unknown, then
            lines are scored by length alone.
    """
    numbers = {"source tokens": (_LENGTHS, lengths)}
    if learned is not None:
        known = [sentence_key(text) for text in learned]
        words = Counter(word for text in known for word in text.split())
        keys, seen = [sentence_key(text) for text in sources], set(known)
        rarest = [min((words[word] for word in key.split()), default=0) for key in keys]
        numbers |= {"rarest word": (_COUNTS, rarest), "source": (_SEEN, [k in seen for k in keys])}
    found: Breakdown = {}
    for kind, (ranges, values) in numbers.items():
        places = np.searchsorted(list(ranges), values, "right") - 1
        found[kind] = {}
        for place, name in enumerate(ranges.values()):
            if rows := np.flatnonzero(places == place).tolist():
                scores = {measure.name: measure.value(rows) for measure in measures}
                found[kind][name] = {"lines": len(rows), **scores}
    return found
