"""The model card: ``README.md`` of a model folder, in the hub's form.

What only the author can know (licence, languages, what the model must not be used for) stands
there as a question. A card that somebody has edited is never written again: the last line of ours
carries a digest of what stands above it.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from textwrap import indent

import yaml

from dragoman.files import write_text
from dragoman.layout import CARD
from dragoman.runs.history import FIGURES, History, Row, clock, figure, trusted, written

_MARK = "\n<!-- written by dragoman, and again with each training, until you edit it: {} -->\n"
_CODE = "    "
"""A block that no text can close, as it could a fence."""
_HUB = {"bleu": "bleu", "chrf": "chrf", "exact": "exact_match", "perplexity": "perplexity"}
"""Our scores under the hub's names."""


def write_card(folder: Path) -> None:
    """Write the card, unless there is one that is not ours word for word.

    Raises:
        FolderError: it is no model folder, or its rows are not as a run writes them.
    """
    path = folder / CARD
    if not path.exists() or is_untouched(path.read_text("utf-8", errors="replace")):
        history = History.of(folder)
        with trusted(history):
            text = card_text(history)
        write_text(path, text + _MARK.format(_digest(text)))


def is_untouched(card: str) -> bool:
    """Whether a card is as it was written."""
    text, _, _ = card.rpartition(_MARK.partition("{")[0])
    return card == text + _MARK.format(_digest(text))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def card_text(history: History) -> str:
    """The card as Markdown with the hub's YAML in front."""
    name, now = history.name, history.kind("validation")[-1:]
    sources = [sample["source"] for row in now for sample in row.get("samples", ())]
    # An example that a shell can read as it stands.
    example = next((s for s in sources if not set(s) & set('"\\$`!\n\r')), "...")
    return (
        files("dragoman.runs")
        .joinpath("card.md")
        .read_text("utf-8")
        .format(
            front=yaml.safe_dump(_front(history, name), allow_unicode=True, sort_keys=False),
            name=_plain(name),
            what=_what(history),
            scores=_scores(history),
            data=_data(history),
            training=_training(history),
            command=indent(history.command(), _CODE),
            shell=indent(f'echo "{example}" | dragoman translate {shlex.quote(name)}', _CODE),
            python=indent(
                f"import dragoman\n\nmodel = dragoman.load({name!r})\n"
                f"print(model.translate([{example!r}])[0].text)",
                _CODE,
            ),
        )
    )


def facts_html(history: History) -> str:
    """The model in a small table, for notebooks."""
    scores = [(FIGURES[n][0], figure(history.best, n)) for n in FIGURES if n in history.best]
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
        for name, value in [("folder", history.name), ("model", _what(history)), *scores]
    )
    return f"<table>{rows}</table>"


def _front(history: History, name: str) -> Row:
    """What the hub reads."""
    model, best = history.config.model, history.best
    found = [
        {"type": hub, "value": round(best[ours], 2), "name": FIGURES[ours][0]}
        for ours, hub in _HUB.items()
        if best.get(ours) is not None
    ]
    front: Row = {
        "library_name": "dragoman",
        "tags": ["seq2seq", "rnn", model.cell, f"attention-{model.attention}"],
        "metrics": [metric["type"] for metric in found],
    }
    if found:
        data = {"name": "pairs held out of the training data", "type": "held-out"}
        result = {"task": {"type": "text2text-generation"}, "dataset": data, "metrics": found}
        front["model-index"] = [{"name": name, "results": [result]}]
    return front


def _what(history: History) -> str:
    config, model = history.config, history.config.model
    return (
        f"A recurrent encoder-decoder ({model.cell.upper()}, {model.encoder_layers} + "
        f"{model.decoder_layers} layers, embeddings of {model.embedding}, {model.hidden} hidden "
        f"units, attention: {model.attention}) that reads {config.source.level} tokens and "
        f"answers in {config.target.level} tokens: raw text in, raw text out."
    )


def _scores(history: History) -> str:
    best = history.best
    if not best:
        return "None yet: no validation was made."
    held = history.record.get("held_out", True)
    rows = [
        (FIGURES[n][0], written(FIGURES[n][2] * best[n]), best.get("signatures", {}).get(n, ""))
        for n in FIGURES
        if best.get(n) is not None
    ]
    return (
        f"{'Pairs held out of the training data' if held else 'TRAINING pairs (none held out)'}, "
        f"of which up to {history.config.training.validation_sample} are translated by greedy "
        f"search; they also chose these weights (step {best['step']:,}). `dragoman evaluate` "
        f"scores all of them, or a test set, with beam search.\n\n"
        f"{_table('score', 'value', 'signature', rows=rows)}"
    )


def _data(history: History) -> str:
    facts, notes = history.record.get("facts"), history.record.get("notes", ())
    if not facts:
        return "Pairs of text; the run did not record which."
    names, sides = ", ".join(map(_plain, history.record["files"])), ("source", "target")
    rows = [(name, *(str(facts[side][name]) for side in sides)) for name in facts["source"]]
    return (
        f"Pairs of text from {names}: {facts['pairs']:,} to learn from, {facts['held out']:,} "
        f"held out.\n\n{''.join(f'- {_plain(note)}' + chr(10) for note in notes)}\n"
        f"{_table('', *sides, rows=rows)}"
    )


def _training(history: History) -> str:
    starts, last = history.kind("start"), history.last
    machine = starts[-1].get("environment", {}) if starts else {}
    on = ", ".join(f"{name} {value}" for name, value in machine.items())
    took = f"{last.get('step', 0):,} steps in {clock(last.get('elapsed', 0))}"
    return f"{took}{f' on {_plain(on)}' if on else ''}. The command that does it again:"


def _table(*heads: str, rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(_plain, cells))} |" for cells in lines)


def _plain(text: str) -> str:
    """Text that Markdown shows as it stands."""
    return escape(" ".join(text.split()), quote=False).replace("|", "\\|").replace("`", "&#96;")
