"""How good the model is now, on pairs that it does not learn from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dragoman.config import Config, SearchOptions
from dragoman.data.prepare import Prepared
from dragoman.evaluation.likelihood import likelihood
from dragoman.evaluation.metrics import score_texts
from dragoman.model.scorer import TorchScorer
from dragoman.model.seq2seq import Seq2Seq
from dragoman.search.translator import Translator


@dataclass(frozen=True, slots=True)
class Sample:
    """One held-out pair and what the model makes of it; no reference for a watched sentence."""

    source: str
    reference: str
    output: str


@dataclass(frozen=True, slots=True)
class Validation:
    """Scores of one moment of a run."""

    scores: dict[str, float]
    """``loss`` (nats a token), ``perplexity``, ``token_accuracy`` (share, given the right tokens
    before each), ``free_accuracy`` (share, given the model's own), and in percent ``bleu``,
    ``chrf``, ``exact``."""
    samples: tuple[Sample, ...]
    watched: tuple[Sample, ...]
    seconds: float

    def metric(self, name: str) -> float:
        """The score that decides; higher is better."""
        return -self.scores["loss"] if name == "loss" else self.scores[name]


def validate(model: Seq2Seq, prepared: Prepared, config: Config, *, shown: int = 3) -> Validation:
    """Loss on all held-out pairs, and greedy translations of a bounded sample of them.

    Args:
        model: the weights as they are now; left in training mode.
        prepared: the data.
        config: the options.
        shown: translations that are kept to be looked at.
    """
    began = time.monotonic()
    likely = likelihood(model, prepared.validation)
    scores = {
        "loss": likely.loss, "perplexity": likely.perplexity,
        "token_accuracy": likely.token_accuracy,
    }  # fmt: skip
    translator = Translator(
        TorchScorer(model), prepared.source, prepared.target, longest=config.source.max_tokens
    )
    greedy = replace(config.search, beam=1)
    sample = _spread(prepared.validation.texts(), config.training.validation_sample)
    sources, references = [s for s, _ in sample], [t for _, t in sample]
    answers = list(translator.translate(sources, greedy))
    outputs = [answer.text for answer in answers]
    if sample:
        # References are read as the model learned them, so that normalising is not an error.
        expected = [prepared.target.normalize(text) for text in references]
        scores |= {name: m.value for name, m in score_texts(outputs, expected).items()}
        tokens = map(prepared.target.tokens, prepared.target.encode(references))
        scores["free_accuracy"] = free_accuracy([a.target_tokens for a in answers], list(tokens))
    watched = _texts(translator, config.training.watch, greedy)
    model.train()
    triples = zip(sources, references, outputs, strict=True)
    return Validation(
        scores,
        tuple(Sample(*triple) for triple in list(triples)[-shown:]),
        tuple(Sample(s, "", t) for s, t in zip(config.training.watch, watched, strict=True)),
        time.monotonic() - began,
    )


def free_accuracy(outputs: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> float:
    """Share of the references' tokens, ends included, that an output has in the same place."""
    right = sum(
        sum(a == b for a, b in zip(output, reference, strict=False))
        + (len(output) == len(reference))
        for output, reference in zip(outputs, references, strict=True)
    )
    return right / sum(len(reference) + 1 for reference in references)


def _spread(rows: list[tuple[str, str]], count: int) -> list[tuple[str, str]]:
    """``count`` rows spread over all: files are often sorted, the first are the shortest."""
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), count)).round().astype(int)
    return [rows[i] for i in chosen]


def _texts(translator: Translator, lines: Sequence[str], options: SearchOptions) -> list[str]:
    return [translation.text for translation in translator.translate(lines, options)]
