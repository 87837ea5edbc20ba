"""Explains a sentence or a batch of pairs: records a model's values, and names their tokens.

    B batch   S source   T target   E embedding   H hidden   K rows of state
    V vocabulary, with the words of their own that sources add when they can be copied

Modules report their values to a function that they are given
(:data:`dragoman.model.protocols.Record`), so that a new module needs no change here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dragoman.config.options import SearchOptions
from dragoman.data.batches import Batch, assemble
from dragoman.data.source import IdPair, encode_pairs
from dragoman.data.tokenizer import UNK, Ids, Tokenizer
from dragoman.errors import DataError, UsageError
from dragoman.inspection.explanation import Example, Explanation, OpenHypothesis, Step, Token, Value
from dragoman.model.folder import ModelFolder
from dragoman.model.output import Objective, SparseOutput
from dragoman.model.seq2seq import Seq2Seq
from dragoman.search.hypotheses import Frontier
from dragoman.search.translator import Translator

CANDIDATES = 5
"""How many of the most probable next tokens are kept."""


def explain_line(
    folder: ModelFolder,
    translator: Translator,
    line: str,
    target: str | None,
    options: SearchOptions,
) -> Explanation:
    """Explain one sentence, followed to ``target``, or to the model's own output if that is None.

    Args:
        folder: the model.
        translator: searches with this model; texts that it keeps are not part of the explanation.
        line: the source as raw text.
        target: raw text.
        options: how to search for the model's own output.

    Raises:
        DataError: a text has no tokens, or more than the model reads at a time; or a memory answers
            the sentence.
    """
    sides, config, text = (folder.source, folder.target), folder.config, translator.read(line)
    if text is None:
        raise DataError("the memory answers this sentence", cure="explain it without the memory")
    ((source, ids),) = encode_pairs([(text, target or "")], sides, copy=config.model.copies)
    _check("the sentence", source.ids, translator.longest)
    if target is not None:
        _check("the target", ids, config.target.max_tokens)
    options = replace(options, n_best=options.beam)
    frontiers: list[Frontier] = []
    (answer,) = translator.translate([line], options, observer=frontiers.append)
    best = answer.hypotheses[0]
    if target is None:
        ids = np.array(best.ids, dtype=np.int32)
    batch = assemble([(source, ids)])
    if target is None and best.ids and not best.complete:
        batch.target_mask[0, -1] = False  # the length limit cut the output: it has no end token
        batch = replace(batch, real=batch.real[:-1], target_tokens=batch.target_tokens - 1)
    values = record(folder.model, batch)
    example, copied = _example(values, 0, sides, text)
    beam = []
    for step in frontiers:
        last, log_probs = _tokens(sides[1], step.tokens, copied=copied), step.log_probs.tolist()
        beam.append(tuple(map(OpenHypothesis, last, log_probs, step.parents.tolist())))
    return Explanation((example,), values, target is not None, answer, tuple(beam))


def explain_pairs(
    model: Seq2Seq, sides: Sequence[Tokenizer], pairs: Sequence[IdPair], texts: Sequence[str] = ()
) -> Explanation:
    """Explain pairs of ids, as one batch.

    Args:
        model: the model.
        sides: the tokenizers of source and target.
        pairs: the pairs.
        texts: their sources as raw text; without them they are decoded from their ids.

    Raises:
        UsageError: there is no pair.
    """
    if not pairs:
        raise UsageError("there is no pair to explain")
    values = record(model, assemble(pairs))
    texts = texts or [sides[0].decode(source.ids) for source, _ in pairs]
    examples = [_example(values, b, sides, text)[0] for b, text in enumerate(texts)]
    return Explanation(tuple(examples), values)


def _check(what: str, ids: Ids, longest: int) -> None:
    if not 0 < len(ids) <= longest:
        cause = f"{what} has {len(ids)} tokens as the model reads it, which takes 1 to {longest}"
        raise DataError(cause, cure="give a part of it, or look at the normalising options")


def _example(
    values: Mapping[str, Value], b: int, sides: Sequence[Tokenizer], text: str
) -> tuple[Example, list[str]]:
    """Pair ``b`` of the batch.

    Returns:
        The pair, and the words outside the vocabulary that a copying model can copy from its
        source, in the order of their ids.
    """
    arrays = {name: value.array[b] for name, value in values.items() if value.axes}
    source = _tokens(sides[0], arrays["source ids"], text)
    copies = zip(arrays.get("copies", ()), source, strict=False)
    words = {int(i): token.stands_for or token.text for i, token in copies}
    # Their ids follow those of the vocabulary without a gap.
    copied = [words[i] for i in sorted(words) if i >= len(sides[1])]
    reads = _tokens(sides[1], arrays["target input ids"], copied=copied)
    expected = _tokens(sides[1], arrays["target ids"], copied=copied)
    steps = []
    for t, log_probs in enumerate(arrays["log-probabilities"]):
        best = np.argsort(-log_probs, kind="stable")[:CANDIDATES]
        likely = _tokens(sides[1], best, copied=copied)
        candidates = tuple(zip(likely, np.exp(log_probs[best]).tolist(), strict=True))
        real, loss = bool(arrays["target mask"][t]), float(arrays["loss"][t])
        looked = (arrays[name][t] if name in arrays else None for name in ("energies", "weights"))
        steps.append(Step(reads[t], expected[t], real, loss, candidates, *looked))
    return Example(text, sides[0].normalize(text), source, tuple(steps)), copied


def _tokens(
    tokenizer: Tokenizer, ids: npt.NDArray[Any], text: str = "", copied: Sequence[str] = ()
) -> tuple[Token, ...]:
    """Name ids.

    Args:
        tokenizer: the vocabulary that they are of.
        ids: [N].
        text: what they were read from; gives the parts that unknown tokens stand for.
        copied: the words that ids beyond the vocabulary stand for, as in :meth:`Tokenizer.tokens`.
    """
    unknown = [text[slice(*span)].strip() for span in tokenizer.spans(text)]
    tokens = []
    for n, (i, name) in enumerate(zip(ids.tolist(), tokenizer.tokens(ids, copied), strict=True)):
        tokens.append(Token(i, name, unknown[n] if i == UNK and n < len(unknown) else ""))
    return tuple(tokens)


@torch.inference_mode()
def record(model: Seq2Seq, batch: Batch) -> dict[str, Value]:
    """Run ``model`` on a batch with known targets, without dropout; returns its values by name.

    The source is encoded; the target is read step by step, as in search; the loss of every position
    comes from the target unrolled, as in training. "batch loss" is the mean loss of the real
    target tokens: negative log-likelihood in nats, or the entmax loss of an entmax output. The
    model is left in the mode that it was in.
    """
    training = model.training
    model.eval()
    found: dict[str, Value] = {}
    steps: dict[str, tuple[str, list[Tensor]]] = {}  # axes, and a tensor of each step

    def keep(name: str, axes: str, value: Tensor) -> None:
        found[name] = Value(axes, value.cpu().numpy())

    def keep_step(name: str, letters: str, value: Tensor) -> None:
        """Give a value of one step an axis T, where it has hypotheses N or queries Q."""
        axes = letters.replace("Q", "T").replace("N", "B T")
        steps.setdefault(name, (axes, []))[1].append(value if "Q" in letters else value[:, None])

    try:
        batch = batch.to(next(model.parameters()).device)
        keep("source ids", "B S", batch.source)
        keep("source mask", "B S", batch.source_mask)
        if model.copying is not None:
            keep("copies", "B S", batch.copies)
        read = batch.source, batch.source_mask, batch.copies, batch.lengths
        memory, start = model.encode(*read, record=keep)
        keep("target input ids", "B T", batch.target_in)
        step, state = model.decoder.stepper(memory, record=keep_step), start
        for token in batch.target_in.unbind(1):
            _, state, _ = step(token, state)
        for name, (axes, values) in steps.items():
            keep(name, axes, torch.cat(values, 1))
        unrolled = model.decoder.unroll(batch.target_in, start, memory)
        log_probs = model.scores(*unrolled, batch.copies, record=keep)  # [B, T, V]
        loss = -log_probs.gather(-1, batch.target_out.unsqueeze(-1)).squeeze(-1)
        if isinstance(model.output, SparseOutput):
            for at in np.ndindex(loss.shape):
                x, answer = unrolled[0][at][None], batch.target_out[at][None]
                loss[at] = model.output.loss(x, answer, Objective(), None)[1]
        keep("log-probabilities", "B T V", log_probs)
        keep("target ids", "B T", batch.target_out)
        keep("target mask", "B T", batch.target_mask)
        keep("loss", "B T", loss)
        keep("masked loss", "B T", loss * batch.target_mask)
        sums = model(batch, Objective())
        keep("batch loss", "", sums.plain / sums.tokens)
    finally:
        model.train(training)
    return found
