"""Scores the model on held-out pairs during training, and keeps some translations to show.

B batch   T target   V vocabulary   W words with copies   H hidden   S source
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch

from dragoman.data.batches import assemble
from dragoman.data.plans import plan_batches
from dragoman.data.prepare import Prepared
from dragoman.data.source import IdPair
from dragoman.errors import OptionError
from dragoman.evaluation.baselines import answers_without_model, no_better, training_pairs
from dragoman.evaluation.confidence import fit_confidence
from dragoman.evaluation.metrics import measures
from dragoman.layout import WEIGHTS
from dragoman.model.folder import tensors_of
from dragoman.model.network import TorchNetwork
from dragoman.model.output import Objective, SparseOutput
from dragoman.model.seq2seq import Seq2Seq
from dragoman.runs.display import SCORES, TRANSLATION_SCORES
from dragoman.runtime.folder import load_runtime
from dragoman.runtime.network import OnnxNetwork
from dragoman.runtime.weights import Weights
from dragoman.search.batched import BatchedScorer
from dragoman.search.network import Network
from dragoman.search.request import Translation
from dragoman.search.translator import Translator

_BATCH_TOKENS = 4096
"""Target positions of a batch whose loss is computed."""
SHOWN = 3
"""Held-out translations that are kept."""
_LONGEST_SHOWN = 40
"""Tokens of a sentence whose attention is kept."""


def validate(model: Seq2Seq, prepared: Prepared) -> tuple[dict[str, float], dict[str, Any]]:
    """Compute the loss on all held-out pairs, and translate a sample of them greedily.

    Where the pairs of a continued model are held out beside new ones, each score is the mean of
    the scores on the two: the many pairs of the one do not hide the few of the other.

    Args:
        model: the weights as they are now; left in training mode.
        prepared: the data and the options.

    Returns:
        The scores: ``loss`` (nats a token), ``perplexity``, ``token_accuracy`` (share, given the
        right tokens before each), ``free_accuracy`` (share, given the model's own), and in percent
        ``bleu``, ``chrf``, ``exact``. And facts of a row of ``metrics.jsonl``: ``signatures`` (how
        ``bleu`` and ``chrf`` were computed), translations (``samples``; ``watched``, of the
        sentences that ``training.watch`` names), ``parts`` (of a continued model: the scores by
        group of pairs), ``seconds``.
    """
    began, config, corpus = time.monotonic(), prepared.config, prepared.validation
    translator = _translator(_network(model, prepared), prepared)
    greedy = replace(config.search, beam=1, int8=False)  # which this machine may lack
    parts: dict[str, dict[str, float]] = {}
    for name, rows, pairs in _groups(prepared):
        answers = list(translator.translate((source for source, _ in pairs), greedy))
        found, signatures = _compared(answers, pairs, prepared)
        parts[name] = _likelihood(model, [*map(corpus.pair, rows)]) | found
    samples, watched = pairs[-SHOWN:], config.training.watch  # of the new pairs, which come last
    asked = [*(source for source, _ in samples), *watched]
    shown = list(translator.translate(asked, greedy, attention=True))
    references = [prepared.target.normalize(text) for _, text in samples]
    model.train()
    scores = {key: fmean(one[key] for one in parts.values()) for key in parts[name]}
    return scores, {
        **({"parts": parts} if len(parts) > 1 else {}),
        "signatures": signatures,
        "samples": list(map(_sample, shown, references)),
        "watched": [_sample(answer, "") for answer in shown[len(samples) :]],
        "seconds": time.monotonic() - began,
    }


@torch.inference_mode()
def _likelihood(model: Seq2Seq, pairs: Sequence[IdPair]) -> dict[str, float]:
    """Scores of all pairs, over target tokens with end tokens; leaves the model in evaluation mode.

    Returns:
        ``loss``: negative log-likelihood a token, in nats, without label smoothing; of an entmax
        output the entmax loss. ``perplexity``, not of an entmax output: the exponential of the
        loss, at most about the largest floating-point number. ``token_accuracy``: share of
        tokens that are at least as probable as every word that can be generated, after the right
        tokens before them.
    """
    device = next(model.eval().parameters()).device
    lengths = [(len(source), len(target)) for source, target in pairs]
    every, sums = np.arange(len(pairs), dtype=np.int32), np.zeros(3)
    sides = np.array(lengths, np.int32).T
    for rows in plan_batches(every, *sides, tokens=_BATCH_TOKENS, seed=0, epoch=0):
        _, *found = model(assemble(pairs[row] for row in rows).to(device), Objective())
        sums += [number.item() for number in found]
    scores = {"loss": float(sums[0] / sums[1]), "token_accuracy": float(sums[2] / sums[1])}
    more = {"perplexity": math.exp(min(scores["loss"], 709.0))}
    return scores if isinstance(model.output, SparseOutput) else scores | more


def _compared(
    answers: Sequence[Translation], pairs: Sequence[tuple[str, str]], prepared: Prepared
) -> tuple[dict[str, float], dict[str, str]]:
    """The scores of translations of ``pairs``, and the signatures of those that have one."""
    if not pairs:
        return {}, {}
    target, texts = prepared.target, [text for _, text in pairs]
    # References are read as the model learned them, so that normalising is not an error.
    outputs, right = [one.text for one in answers], [(target.normalize(text),) for text in texts]
    found = measures(outputs, right, TRANSLATION_SCORES)
    tokens = [target.tokens(ids) for ids in target.encode(texts)]
    if prepared.config.model.copies:  # a copied word is right when it is the word
        tokens = list(map(target.pieces, texts))
    scores = {measure.key: measure.value() for measure in found}
    scores["free_accuracy"] = free_accuracy([one.target_tokens for one in answers], tokens)
    return scores, {measure.key: measure.signature for measure in found}


def verdict(folder: Path, prepared: Prepared, scores: dict[str, float]) -> str:
    """A sentence where ``scores`` of a validation are no better than those of the best baseline.

    At most 50,000 training pairs are read from ``folder``, so that it takes seconds.
    """
    (_, _, pairs), *others = _groups(prepared)
    if others or not pairs:  # a model that is continued was compared before
        return ""
    training = training_pairs(folder, prepared.source, prepared.target, most=50_000)
    form, sources = prepared.target.normalize, [source for source, _ in pairs]
    answers = answers_without_model(sources, prepared.source, form, training)
    right = [(form(text),) for _, text in pairs]
    found = {
        name: {SCORES[m.key].label: m.value() for m in measures(texts, right, TRANSLATION_SCORES)}
        for name, texts in answers.items()
    }
    return no_better({SCORES[key].label: scores[key] for key in TRANSLATION_SCORES}, found)


def check_metric(prepared: Prepared) -> None:
    """Refuse a metric that stays 0 on the held-out pairs even when every translation is right.

    BLEU (Papineni et al. 2002) is 0 where no reference has four words.

    Raises:
        OptionError: ``training.metric`` is such a one.
    """
    metric = prepared.config.training.metric
    pairs = [pair for _, _, some in _groups(prepared) for pair in some]
    texts = [prepared.target.normalize(target) for _, target in pairs]
    if metric == "bleu" and measures(texts, [(text,) for text in texts], ("bleu",))[0].value() == 0:
        cause, cure = "it is always 0 on targets of fewer than four words", "try --metric chrf"
        raise OptionError(cause, place="training.metric 'bleu'", cure=cure)


def _sample(answer: Translation, reference: str) -> dict[str, Any]:
    """A translation for the report; its attention, if it was kept, where it is short enough.

    Returns:
        ``source``, ``reference``, ``output``; ``source_tokens``, ``target_tokens`` and
        ``attention``, weights in percent, [target + 1, source + 1] with the end tokens.
    """
    sample = {"source": answer.source, "reference": reference, "output": answer.text}
    weights = answer.hypotheses[0].weights if answer.hypotheses else None
    width = len(answer.source_tokens) + 1
    if weights is None or max(width, len(weights)) > _LONGEST_SHOWN:
        return sample
    return sample | {
        "source_tokens": answer.source_tokens,
        "target_tokens": answer.target_tokens,
        "attention": np.rint(100 * weights[:, :width]).astype(int).tolist(),
    }


def free_accuracy(outputs: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> float:
    """Share of the references' tokens, ends included, that an output has in the same place."""
    right = 0
    for output, reference in zip(outputs, references, strict=True):
        right += sum(a == b for a, b in zip(output, reference, strict=False))
        right += len(output) == len(reference)
    return right / sum(len(reference) + 1 for reference in references)


def fit_and_save_confidence(folder: Path, prepared: Prepared) -> None:
    """Fit the confidence of the translations of the model in ``folder`` on held-out pairs."""
    translator = _translator(load_runtime(folder).network(int8=False, shortlist=False), prepared)
    search = replace(prepared.config.search, int8=False)
    pairs = [pair for _, _, some in _groups(prepared) for pair in some]
    if fitted := fit_confidence(translator, pairs, search):
        fitted.save(folder)


def _network(model: Seq2Seq, prepared: Prepared) -> Network:
    """The model with its weights as they are now: in ONNX Runtime if it is on a processor."""
    if next(model.parameters()).device.type != "cpu":
        return TorchNetwork(model)
    weights = Weights({name: one.numpy() for name, one in tensors_of(model).items()}, WEIGHTS)
    sizes = len(prepared.source), len(prepared.target)
    network = OnnxNetwork(prepared.config.model, weights, sizes, None)
    network.concurrency = torch.get_num_threads()
    return network


def _translator(network: Network, prepared: Prepared) -> Translator:
    scorer, longest = BatchedScorer(network), prepared.config.source.max_tokens
    return Translator(scorer, [prepared.source], prepared.target, longest)


def _groups(prepared: Prepared) -> Iterator[tuple[str, range, list[tuple[str, str]]]]:
    """Each group of held-out pairs: its name, its rows, and the pairs that are translated.

    The groups have equal parts in ``validation_sample``. Their pairs stand at even distances, since
    files are often sorted.
    """
    corpus, wanted, start = prepared.validation, prepared.config.training.validation_sample, 0
    texts, most = corpus.texts(), -(-wanted // len(corpus.groups))
    for group in corpus.groups:
        rows, count = range(start, start + group.rows), min(group.rows, most)
        places = np.linspace(rows[0], rows[-1], count).round().astype(int)
        yield group.name, rows, [texts[place] for place in places]
        start += group.rows
