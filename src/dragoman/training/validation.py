"""Scores the model on held-out pairs during training, and keeps some translations to show."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dragoman.config.options import Config, SearchOptions
from dragoman.data.prepare import Prepared
from dragoman.data.tokenizer import UNK
from dragoman.evaluation.confidence import fit_confidence
from dragoman.evaluation.examples import examples_of
from dragoman.evaluation.likelihood import likelihood
from dragoman.evaluation.metrics import Measure, measures
from dragoman.evaluation.mistakes import mistakes
from dragoman.model.folder import load_folder
from dragoman.model.network import TorchNetwork
from dragoman.model.seq2seq import Seq2Seq
from dragoman.search.batched import BatchedScorer
from dragoman.search.translator import Translator

SHOWN, WORST = 3, 10
"""Numbers of held-out translations that are kept: any, and those with the lowest chrF."""
_LONGEST_SHOWN = 40
"""Tokens of a sentence whose attention is kept."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A source and its translation, with the reference of a held-out pair ("" if there is none)."""

    source: str
    reference: str
    output: str
    source_tokens: tuple[str, ...] = ()
    target_tokens: tuple[str, ...] = ()
    attention: tuple[tuple[int, ...], ...] = ()
    """Weights in percent, [target + 1, source + 1] with the end tokens; empty when not kept."""
    chrf: float | None = None
    """Of this line alone, where it was scored."""


@dataclass(frozen=True, slots=True)
class Validation:
    """Scores and translations of the weights as they are after one step."""

    scores: dict[str, float]
    """``loss`` (nats a token), ``perplexity``, ``token_accuracy`` (share, given the right tokens
    before each), ``free_accuracy`` (share, given the model's own), and in percent ``bleu``,
    ``chrf``, ``exact``."""
    signatures: dict[str, str]
    """How ``bleu`` and ``chrf`` were computed."""
    samples: tuple[Sample, ...]
    watched: tuple[Sample, ...]
    worst: tuple[Sample, ...]
    mistakes: dict[str, int]
    """Numbers of outputs that are visibly wrong, by kind (:mod:`dragoman.evaluation.mistakes`)."""
    seconds: float

    def metric(self, name: str) -> float:
        """The score ``name``, which chooses the best weights; higher is better."""
        return -self.scores["loss"] if name == "loss" else self.scores[name]


def validate(model: Seq2Seq, prepared: Prepared, config: Config) -> Validation:
    """Loss on all held-out pairs, and greedy translations of a bounded sample of them.

    Args:
        model: the weights as they are now; left in training mode.
        prepared: the data.
        config: the options.
    """
    began = time.monotonic()
    scores = likelihood(model, prepared.validation)
    scorer, longest = BatchedScorer(TorchNetwork(model)), config.source.max_tokens
    translator = Translator(scorer, prepared.source, prepared.target, longest=longest)
    greedy = replace(config.search, beam=1, int8=False)  # which this machine may lack
    pairs = _spread(prepared.validation.texts(), config.training.validation_sample)
    # References are read as the model learned them, so that normalising is not an error.
    sources, references = [s for s, _ in pairs], [prepared.target.normalize(t) for _, t in pairs]
    answers = list(translator.translate(sources, greedy))
    sample = [Sample(s, r, a.text) for s, r, a in zip(sources, references, answers, strict=True)]
    found: tuple[Measure, ...] = ()
    wrong: dict[str, list[int]] = {}
    if pairs:
        outputs = [answer.text for answer in answers]
        found = measures(outputs, [(r,) for r in references], ("bleu", "chrf", "exact"))
        scores |= {measure.key: measure.value() for measure in found}
        targets = [target for _, target in pairs]
        tokens = (
            map(prepared.target.pieces, targets)  # a copied word is right when it is the word
            if config.model.copy
            else map(prepared.target.tokens, prepared.target.encode(targets))
        )
        scores["free_accuracy"] = free_accuracy([a.target_tokens for a in answers], list(tokens))
        wrong = mistakes(
            examples_of(zip(sources, references, strict=True), ""),
            outputs,
            [all(h.complete for h in answer.hypotheses) for answer in answers],
            [UNK in ids for ids in prepared.source.encode(sources)],
            characters=config.target.level == "char",
        )
    watched = config.training.watch
    shown = _attended(translator, sources[-SHOWN:], references[-SHOWN:], greedy)
    seen = _attended(translator, watched, [""] * len(watched), greedy)
    model.train()
    signatures = {measure.key: measure.signature for measure in found}
    counts = {kind: len(lines) for kind, lines in wrong.items()}
    took = time.monotonic() - began
    return Validation(scores, signatures, shown, seen, _worst(sample, found), counts, took)


def _attended(
    translator: Translator,
    sources: Sequence[str],
    references: Sequence[str],
    options: SearchOptions,
) -> tuple[Sample, ...]:
    """Translate sentences for the report, with their attention weights."""
    samples = []
    answers = translator.translate(sources, options, attention=True)
    for answer, reference in zip(answers, references, strict=True):
        sample = Sample(answer.source, reference, answer.text)
        weights = answer.hypotheses[0].weights if answer.hypotheses else None
        width = len(answer.source_tokens) + 1
        if weights is not None and max(width, len(weights)) <= _LONGEST_SHOWN:
            percent = np.rint(100 * weights[:, :width]).astype(int).tolist()
            sample = replace(
                sample,
                source_tokens=answer.source_tokens,
                target_tokens=answer.target_tokens,
                attention=tuple(map(tuple, percent)),
            )
        samples.append(sample)
    return tuple(samples)


def _worst(sample: Sequence[Sample], found: Sequence[Measure]) -> tuple[Sample, ...]:
    """The outputs with the lowest chrF, worst first; those that are right are not among them."""
    chrf = next((measure for measure in found if measure.key == "chrf"), None)
    if chrf is None:
        return ()
    scored = [replace(s, chrf=round(chrf.value([row]), 2)) for row, s in enumerate(sample)]
    wrong = [s for s in scored if s.reference.strip() != s.output.strip()]
    return tuple(sorted(wrong, key=lambda s: s.chrf or 0)[:WORST])


def free_accuracy(outputs: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> float:
    """Share of the references' tokens, ends included, that an output has in the same place."""
    right = sum(
        sum(a == b for a, b in zip(output, reference, strict=False))
        + (len(output) == len(reference))
        for output, reference in zip(outputs, references, strict=True)
    )
    return right / sum(len(reference) + 1 for reference in references)


def fit_and_save_confidence(folder: Path, prepared: Prepared, config: Config) -> None:
    """Fit the confidence of the best weights' translations on held-out pairs, and save it."""
    best = load_folder(folder)
    scorer, longest = BatchedScorer(TorchNetwork(best.model)), config.source.max_tokens
    translator = Translator(scorer, best.source, best.target, longest=longest)
    pairs = _spread(prepared.validation.texts(), config.training.validation_sample)
    fitted = fit_confidence(translator, pairs, replace(config.search, int8=False))
    if fitted is not None:
        fitted.save(folder)


def _spread(rows: list[tuple[str, str]], count: int) -> list[tuple[str, str]]:
    """``count`` rows spread over all: files are often sorted, the first are the shortest."""
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), count)).round().astype(int)
    return [rows[i] for i in chosen]
