"""The glass box: one example from text to text as data, every value with its name and shape.

B batch   S source   T target   V vocabulary
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dragoman.config import SearchOptions
from dragoman.data.batches import Batch, PairsInMemory, assemble
from dragoman.data.tokenizer import EOS, UNK, Ids, Tokenizer
from dragoman.errors import DataError
from dragoman.inspection.recording import Value, record, recorded
from dragoman.model.seq2seq import Seq2Seq
from dragoman.search.translator import Translation, Translator

if TYPE_CHECKING:
    from rich.console import RenderableType

CANDIDATES = 5
_PAGE = Path(__file__).with_suffix(".html")
Floats = npt.NDArray[np.floating[Any]]


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
    weights: Floats | None
    """Over the source tokens of this example, its padding included, [S]; None without attention."""
    energies: Floats | None
    norms: dict[str, float]
    """Euclidean norms of the vectors that come into being here."""


@dataclass(frozen=True, slots=True)
class Example:
    """One pair of the batch; ``source`` and the steps end with the end token."""

    text: str
    normalized: str
    source: tuple[Token, ...]
    steps: tuple[Step, ...]

    @property
    def loss(self) -> float:
        """Mean over the real positions, in nats."""
        return float(np.mean([step.loss for step in self.steps if step.real]))


@dataclass(frozen=True, slots=True)
class Branch:
    """A hypothesis that was open, or ended, while the beam was searched."""

    ids: tuple[int, ...]
    token: Token
    log_prob: float
    """Of all its tokens together."""
    score: float | None
    """Where it ended: what it was ranked by."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A batch of pairs on its way through a model; ``str``, rich and notebooks show it.

    ``explanation["weights"]`` is a value of the whole batch by its name, as an array.
    """

    examples: tuple[Example, ...]
    values: tuple[Value, ...]
    """In the order in which they come into being."""
    loss: float
    """Of the batch: mean over its real target tokens, in nats."""
    minimised: float
    """The same with label smoothing."""
    given: bool
    """The target was given; otherwise it is the model's own output."""
    answer: Translation | None = None
    """What the model itself says, when one sentence was explained."""
    beam: tuple[Branch, ...] = ()
    """Every hypothesis that search went on with, shorter ones first."""

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        found = {value.name: value.array for value in self.values}
        return found[name]

    def __contains__(self, name: str) -> bool:
        return any(value.name == name for value in self.values)

    def to_json(self, *, arrays: bool = True) -> str:
        """Everything; ``arrays`` without the one over the vocabulary, or of all only a summary."""
        answer = self.answer and {
            "text": self.answer.text,
            "hypotheses": [
                {"text": text, "score": hypothesis.score, "log_prob": hypothesis.log_prob}
                for hypothesis, text in zip(self.answer.hypotheses, self.answer.texts, strict=True)
            ],
        }
        fields = {
            "loss": self.loss, "minimised": self.minimised, "target_given": self.given,
            "answer": answer, "examples": [asdict(example) for example in self.examples],
            "beam": [asdict(branch) for branch in self.beam],
            "values": [
                v.summary() | ({"values": v.array} if arrays and "V" not in v.axes else {})
                for v in self.values
            ],
        }  # fmt: skip
        return json.dumps(fields, ensure_ascii=False, default=np.ndarray.tolist)

    def to_html(self) -> str:
        """A page that stands alone and asks for nothing from elsewhere."""
        data = self.to_json(arrays=False).replace(
            "<", "\\u003c"
        )  # no text can end the script that holds it
        return _PAGE.read_text("utf-8").replace(">{}<", f">{data}<")

    def _repr_html_(self) -> str:
        page = escape(self.to_html())
        return f'<iframe srcdoc="{page}" style="width: 100%; height: 40rem; border: 0"></iframe>'

    def __rich__(self) -> RenderableType:
        from dragoman.inspection.terminal import view

        return view(self)


def explain_line(
    model: Seq2Seq, translator: Translator, line: str, target: str | None,
    options: SearchOptions, *, smoothing: float = 0.0,
) -> Explanation:  # fmt: skip
    """Explain one sentence: the way to ``target``, or to what the model itself says.

    Raises:
        DataError: nothing is left of a text, or the sentence is longer than the model reads.
    """
    sides = (translator.source, translator.target)
    (source,) = sides[0].encode([line])
    _check("the sentence", source, translator.longest)
    scorer = translator.scorer
    with recorded(step=scorer.step, select=scorer.select) as calls:
        (answer,) = translator.translate([line], options)
    best = answer.hypotheses[0]
    said, complete = np.array(best.ids, dtype=np.int32), best.complete or not best.ids
    if target is not None:
        (said,), complete = sides[1].encode([target]), True
        _check("the target", said, translator.longest)
    batch = assemble(PairsInMemory([source], [said]), np.array([0]))
    if not complete:  # it was cut at its limit: no end follows
        shorter = {name: getattr(batch, name)[:, :-1] for name in _TARGET}
        batch = Batch(batch.source, batch.source_mask, **shorter, target_tokens=len(said))
    recording = record(model, batch, smoothing=smoothing)
    examples = _examples(recording.values, sides, [line])
    beam = _branches(calls, answer, sides[1])
    return Explanation(examples, *recording, target is not None, answer, beam)


def explain_pairs(
    model: Seq2Seq, tokenizers: tuple[Tokenizer, Tokenizer], pairs: PairsInMemory,
    texts: Sequence[str] | None = None, *, smoothing: float = 0.0,
) -> Explanation:  # fmt: skip
    """Explain a batch of pairs of ids; ``texts`` are its sources, when they are at hand."""
    rows = np.arange(len(pairs.source_lengths))
    if texts is None:
        texts = [tokenizers[0].decode(pairs.pair(int(row))[0]) for row in rows]
    recording = record(model, assemble(pairs, rows), smoothing=smoothing)
    return Explanation(_examples(recording.values, tokenizers, texts), *recording, given=True)


_VECTORS = ("context", "attentional vector", "features")
_TARGET = ("target_in", "target_out", "target_mask")


def _check(what: str, ids: Ids, longest: int) -> None:
    if not len(ids):
        raise DataError(f"nothing is left of {what}", cure="look at the normalising options")
    if len(ids) > longest:
        raise DataError(
            f"{what} has {len(ids)} tokens, the model reads {longest} at a time",
            cure="give a part of it",
        )


def _examples(
    values: Sequence[Value], sides: tuple[Tokenizer, Tokenizer], texts: Sequence[str]
) -> tuple[Example, ...]:
    """The batch pair by pair."""
    arrays = {value.name: value.array for value in values}
    log_probs = arrays["log-probabilities"]
    best = np.argsort(-log_probs, axis=-1, kind="stable")[..., :CANDIDATES]
    examples = []
    for b, text in enumerate(texts):
        source = _tokens(sides[0], arrays["source ids"][b], text)
        reads = _tokens(sides[1], arrays["target input ids"][b])
        expected = _tokens(sides[1], arrays["target ids"][b])
        steps = []
        for t in range(len(reads)):
            probable = np.exp(log_probs[b, t, best[b, t]]).tolist()
            weights, energies = (
                arrays[name][b, t] if name in arrays else None for name in ("weights", "energies")
            )
            steps.append(Step(
                reads[t], expected[t], bool(arrays["target mask"][b, t]),
                float(arrays["loss"][b, t]),
                tuple(zip(_tokens(sides[1], best[b, t]), probable, strict=True)),
                weights, energies,
                {v: float(np.linalg.norm(arrays[v][b, t])) for v in _VECTORS if v in arrays},
            ))  # fmt: skip
        examples.append(Example(text, sides[0].normalize(text), source, tuple(steps)))
    return tuple(examples)


def _tokens(tokenizer: Tokenizer, ids: npt.NDArray[Any], text: str = "") -> tuple[Token, ...]:
    """Ids with their texts; an unknown one also with what it stands for in ``text``."""
    spans = tokenizer.spans(text)
    return tuple(
        Token(int(i), name, text[slice(*spans[n])].strip() if i == UNK and n < len(spans) else "")
        for n, (i, name) in enumerate(zip(ids, tokenizer.tokens(ids), strict=True))
    )


def _branches(
    calls: dict[str, list[tuple[Any, Any]]], answer: Translation, target: Tokenizer
) -> tuple[Branch, ...]:
    """The tree that search went through, from what it asked the scorer of one sentence."""
    heads: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    open_: dict[tuple[int, ...], float] = {}
    earlier: Any = None
    for number, ((tokens, *_), (scores, _)) in enumerate(calls["step"]):
        if number:
            parents = np.ravel(calls["select"][number - 1][0][-1])
            said = np.ravel(tokens)
            steps = _chosen(earlier, parents, said)
            heads = [
                ((*heads[parent][0], int(token)), heads[parent][1] + float(step))
                for parent, token, step in zip(parents, said, steps, strict=True)
            ]
            open_ |= dict(heads)
        earlier = scores
    ended = {
        (*hypothesis.ids, *[EOS] * hypothesis.complete): hypothesis
        for hypothesis in answer.hypotheses
    }
    every = open_ | {ids: hypothesis.log_prob for ids, hypothesis in ended.items()}
    last = target.tokens([ids[-1] for ids in every])
    return tuple(
        Branch(ids, Token(ids[-1], text), log_prob, ended[ids].score if ids in ended else None)
        for (ids, log_prob), text in sorted(zip(every.items(), last, strict=True),
                                            key=lambda one: len(one[0][0]))
    )  # fmt: skip


def _chosen(scores: Any, rows: npt.NDArray[np.int64], tokens: npt.NDArray[np.int64]) -> Floats:
    """The log-probability of a token of each of some rows."""
    log_probs = scores.log_probs.reshape(-1, scores.log_probs.shape[-1])
    words = getattr(scores, "tokens", None)
    columns = tokens if words is None else (words[rows] == tokens[:, None]).argmax(1)
    return np.asarray(log_probs[rows, columns])
