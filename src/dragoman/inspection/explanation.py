"""The glass box: one example from text to text as data, every value with its name and shape.

B batch   S source   T target   V vocabulary
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dragoman.config.options import SearchOptions
from dragoman.data.batches import PairsInMemory, assemble
from dragoman.data.corpus import encode_pairs
from dragoman.data.tokenizer import EOS, UNK, Ids, Tokenizer
from dragoman.errors import DataError, UsageError
from dragoman.inspection.recording import Value, record, recorded
from dragoman.model.seq2seq import Seq2Seq
from dragoman.search.translator import Translation, Translator

if TYPE_CHECKING:
    from rich.console import RenderableType

CANDIDATES = 5
_PAGE = Path(__file__).with_suffix(".html")
_MEASURES = {
    "|context|": "context",
    "|attentional vector|": "attentional vector",
    "|features|": "features",
    "p(generated)": "copying gate",
}


@dataclass(frozen=True, slots=True)
class Token:
    """One id and its text."""

    id: int
    text: str
    stands_for: str = ""
    """The text that became the unknown word."""


@dataclass(frozen=True, slots=True)
class Step:
    """One position of the target."""

    reads: Token
    expected: Token
    """What comes here: of the given target, or of the model's own output."""
    real: bool
    """False on padding, which does not count in the loss."""
    loss: float
    """Negative log-probability of ``expected``, in nats."""
    candidates: tuple[tuple[Token, float], ...]
    """The most probable next tokens and their probabilities."""
    measures: Mapping[str, float]
    """Norms of the vectors that come into being here; a copying model's share of generating."""
    energies: npt.NDArray[Any] | None
    """Of every source position, padding included, [S]; None without attention."""
    weights: npt.NDArray[Any] | None


@dataclass(frozen=True, slots=True)
class Example:
    """One pair of the batch; ``source`` and ``steps`` go on to the end token and its padding."""

    text: str
    normalized: str
    source: tuple[Token, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """A hypothesis that was open, or ended, while the beam was searched."""

    ids: tuple[int, ...]
    token: Token
    """The last of them."""
    log_prob: float
    """Of all together."""
    score: float | None
    """Where it ended: what it was ranked by."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A batch of pairs on its way through a model; rich and notebooks show it."""

    examples: tuple[Example, ...]
    values: Mapping[str, Value]
    """Of the whole batch, in the order in which they come into being."""
    given: bool = True
    """The target was given; otherwise it is the model's own output."""
    answer: Translation | None = None
    """What the model itself says, when one sentence was explained."""
    beam: tuple[Branch, ...] = ()
    """Every hypothesis that search went on with, shorter ones first."""

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self.values[name].array

    def to_json(self, *, arrays: bool = True) -> str:
        """Everything; ``arrays`` but the one over the vocabulary, or a summary of each only."""
        fields: dict[str, Any] = {
            "loss": self["batch loss"],
            "minimised": self["minimised"],
            "given": self.given,
        }
        fields |= {"examples": [asdict(example) for example in self.examples]}
        fields |= {"answer": self.answer and asdict(self.answer), "values": {}}
        fields |= {"beam": [asdict(branch) for branch in self.beam]}
        for name, value in self.values.items():
            fields["values"][name] = value.summary()
            if arrays and "V" not in value.axes:
                fields["values"][name]["values"] = value.array
        return json.dumps(fields, ensure_ascii=False, default=lambda array: array.tolist())

    def to_html(self) -> str:
        """A page that stands alone and asks for nothing from elsewhere."""
        data = self.to_json(arrays=False).replace("<", "\\u003c")  # no text ends the script early
        return _PAGE.read_text("utf-8").replace(">{}<", f">{data}<")

    def _repr_html_(self) -> str:
        page = escape(self.to_html())
        return f'<iframe srcdoc="{page}" style="width: 100%; height: 40rem; border: 0"></iframe>'

    def __rich__(self) -> RenderableType:
        from dragoman.inspection.terminal import view

        return view(self)


def explain_line(
    model: Seq2Seq,
    translator: Translator,
    line: str,
    target: str | None,
    options: SearchOptions,
    *,
    smoothing: float = 0.0,
) -> Explanation:
    """Explain one sentence: the way to ``target``, or to what the model itself says.

    Raises:
        DataError: nothing is left of a text, or it is longer than the model reads at a time.
    """
    sides, scorer = (translator.source, translator.target), translator.scorer
    (source,), (said,) = encode_pairs([line], [target or ""], sides, copy=model.copying is not None)
    _check("the sentence", source.ids, translator.longest)
    if target is not None:
        _check("the target", said, translator.longest)
    options = replace(options, n_best=options.beam)
    with recorded(step=scorer.step, select=scorer.select) as calls:
        (answer,) = translator.translate([line], options)
    best = answer.hypotheses[0]
    ids = np.array(best.ids, dtype=np.int32) if target is None else said
    batch = assemble(PairsInMemory([source], [ids]), np.array([0]))
    if target is None and best.ids and not best.complete:
        batch.target_mask[0, -1] = False  # it was cut at its limit: no end follows
        batch = replace(batch, real=batch.real[:-1], target_tokens=batch.target_tokens - 1)
    values = record(model, batch, smoothing=smoothing)
    examples, beam = _examples(values, sides, [line]), _branches(calls, answer, sides[1])
    return Explanation(examples, values, target is not None, answer, beam)


def explain_pairs(
    model: Seq2Seq,
    sides: tuple[Tokenizer, Tokenizer],
    pairs: PairsInMemory,
    texts: Sequence[str] = (),
    *,
    smoothing: float = 0.0,
) -> Explanation:
    """Explain a batch of pairs of ids; ``texts`` are its sources, when they are at hand.

    Raises:
        UsageError: there is no pair.
    """
    if not len(pairs.source_lengths):
        raise UsageError("there is no pair to explain")
    rows = np.arange(len(pairs.source_lengths))
    values = record(model, assemble(pairs, rows), smoothing=smoothing)
    texts = texts or [sides[0].decode(pairs.pair(int(row))[0].ids) for row in rows]
    return Explanation(_examples(values, sides, texts), values)


def _check(what: str, ids: Ids, longest: int) -> None:
    if not len(ids):
        raise DataError(f"nothing is left of {what}", cure="look at the normalising options")
    if len(ids) > longest:
        raise DataError(
            f"{what} has {len(ids)} tokens, the model reads {longest} at a time",
            cure="give a part of it",
        )


def _examples(
    values: Mapping[str, Value], sides: tuple[Tokenizer, Tokenizer], texts: Sequence[str]
) -> tuple[Example, ...]:
    """The batch pair by pair."""
    examples = []
    for b, text in enumerate(texts):
        arrays = {name: value.array[b] for name, value in values.items() if value.axes}
        source = _tokens(sides[0], arrays["source ids"], text)
        copied = zip(arrays.get("copies", ()), source, strict=False)
        own = {int(i): token.stands_for or token.text for i, token in copied}
        steps = _steps(arrays, sides[1], own)
        examples.append(Example(text, sides[0].normalize(text), source, steps))
    return tuple(examples)


def _steps(
    arrays: Mapping[str, npt.NDArray[Any]], tokenizer: Tokenizer, own: Mapping[int, str]
) -> tuple[Step, ...]:
    """The target of one pair, position by position; ``arrays`` without their axis B."""
    reads = _tokens(tokenizer, arrays["target input ids"], own=own)
    expected = _tokens(tokenizer, arrays["target ids"], own=own)
    steps = []
    for t, log_probs in enumerate(arrays["log-probabilities"]):
        best = np.argsort(-log_probs, kind="stable")[:CANDIDATES]
        steps.append(
            Step(
                reads[t],
                expected[t],
                bool(arrays["target mask"][t]),
                float(arrays["loss"][t]),
                tuple(
                    zip(
                        _tokens(tokenizer, best, own=own),
                        np.exp(log_probs[best]).tolist(),
                        strict=True,
                    )
                ),
                {
                    label: float(np.linalg.norm(arrays[name][t]))
                    for label, name in _MEASURES.items()
                    if name in arrays
                },
                *(arrays[name][t] if name in arrays else None for name in ("energies", "weights")),
            )
        )
    return tuple(steps)


def _tokens(
    tokenizer: Tokenizer,
    ids: npt.NDArray[Any],
    text: str = "",
    own: Mapping[int, str] | None = None,
) -> tuple[Token, ...]:
    """Ids with their texts; an unknown one also with what it stands for in ``text``.

    ``own`` are words from beyond the vocabulary that a source brings with it, by id.
    """
    unknown = [text[slice(*span)].strip() for span in tokenizer.spans(text)]
    names = tokenizer.tokens(np.where(ids < len(tokenizer), ids, UNK))
    return tuple(
        Token(
            int(i),
            (own or {}).get(int(i), name) if i >= len(tokenizer) else name,
            unknown[n] if i == UNK and n < len(unknown) else "",
        )
        for n, (i, name) in enumerate(zip(ids, names, strict=True))
    )


def _branches(
    calls: Mapping[str, Sequence[tuple[Any, Any]]], answer: Translation, target: Tokenizer
) -> tuple[Branch, ...]:
    """The tree that search went through, from what it asked the scorer of one sentence."""
    every: dict[tuple[int, ...], float] = {}
    heads: list[tuple[int, ...]] = [()]
    earlier = calls["step"][0][1][0]
    for (given, (scores, _)), (chosen, _) in zip(calls["step"][1:], calls["select"], strict=False):
        parents, tokens = np.ravel(chosen[-1]), np.ravel(given[0])
        steps = _log_probs(earlier, parents, tokens)
        totals = [
            every.get(heads[p], 0.0) + float(step) for p, step in zip(parents, steps, strict=True)
        ]
        heads = [(*heads[p], int(token)) for p, token in zip(parents, tokens, strict=True)]
        every |= dict(zip(heads, totals, strict=True))
        earlier = scores
    ended = {(*h.ids, *[EOS] * h.complete): h for h in answer.hypotheses}
    every |= {ids: hypothesis.log_prob for ids, hypothesis in ended.items() if ids}
    # A beam wider than the choices carries dead hypotheses along.
    alive = (ids for ids in every if ids in ended or (EOS not in ids and every[ids] > -np.inf))
    paths = sorted(alive, key=len)
    last = _tokens(target, np.array([ids[-1] for ids in paths]))
    scores = [ended[ids].score if ids in ended else None for ids in paths]
    return tuple(map(Branch, paths, last, (every[ids] for ids in paths), scores))


def _log_probs(
    scores: Any, rows: npt.NDArray[np.int64], tokens: npt.NDArray[np.int64]
) -> npt.NDArray[Any]:
    """What a step of search gave to one token of each of some hypotheses."""
    log_probs = scores.log_probs.reshape(-1, scores.log_probs.shape[-1])
    words = getattr(scores, "tokens", None)
    columns = tokens if words is None else (words[rows] == tokens[:, None]).argmax(1)
    return np.asarray(log_probs[rows, columns])
