"""Writes the model card: ``README.md`` of a model folder, in the Hugging Face hub's form.

The card asks for what only the author knows (licence, languages, intended use). A card that
somebody has edited is kept: the last line of a card holds a digest of the text above it.
"""

import hashlib
import shlex
from html import escape
from importlib.resources import files
from pathlib import Path
from textwrap import indent

from dragoman.files import write_text
from dragoman.layout import CARD
from dragoman.runs.display import clock
from dragoman.runs.history import History
from dragoman.runs.scores import SCORES, scores_line

_MARK = "\n<!-- written by dragoman, and again with each training, until you edit it: {} -->\n"
_CODE = "    "
"""Indents a block of code: no text within can end it, as it could end a fence."""


def write_card(folder: Path) -> None:
    """Write the card of a run's folder, unless the folder has one that somebody edited.

    Raises:
        FolderError: it is no model folder.
    """
    path = folder / CARD
    if not path.exists() or is_unedited(path.read_text("utf-8", errors="replace")):
        write_text(path, _marked(card_text(History.of(folder))))


def is_unedited(card: str) -> bool:
    """Whether a card is as :func:`write_card` wrote it."""
    return card == _marked(card.rpartition(_MARK.partition("{")[0])[0])


def _marked(text: str) -> str:
    """A card with its last line, which holds a digest of the text above it."""
    return text + _MARK.format(hashlib.sha256(text.encode()).hexdigest()[:16])


def card_text(history: History) -> str:
    """The card as Markdown, after the hub's metadata in YAML."""
    template = files("dragoman.runs").joinpath("card.md").read_text("utf-8")
    # A source that the last validation translated, and that a shell reads as it stands.
    sources = [row["source"] for row in history.latest("validation").get("samples", ())]
    example = next((s for s in sources if not set(s) & set('"\\$`!\n\r')), "...")
    shell = f'echo "{example}" | dragoman translate {shlex.quote(history.name)}'
    return template.format(
        history=history,
        title=_escaped(history.name),
        shell=indent(shell, _CODE),
        example=example,
        scores=_scores(history) if history.best else "None yet: the run was not validated.",
        data=_data(history),
        steps=history.last.get("step", 0),
        time=clock(history.last.get("elapsed", 0)),
        command=indent(history.command(), _CODE),
    )


def _scores(history: History) -> str:
    best, verdict = history.best, history.record.get("verdict", "")
    held = history.record.get("held_out", True)
    pairs = "pairs held out of the training data" if held else "TRAINING pairs (none were held out)"
    said = (
        f"Measured on {pairs}; at most {history.config.training.validation_sample} of them were "
        f"translated, by greedy search. The same pairs chose these weights (step "
        f"{best['step']:,}). `dragoman evaluate` scores all of them, or a test set, with beam "
        "search."
    )
    shown = [f"- {scores_line(best, history.config.training.metric)}"]
    for name, text in best.get("signatures", {}).items():
        shown.append(f"- {SCORES[name].label}: {_escaped(text)}")
    return "\n\n".join(filter(None, (said, verdict and f"**{verdict}**", "\n".join(shown))))


def _data(history: History) -> str:
    facts, notes = history.record.get("facts"), history.record.get("notes", ())
    if not facts:
        return "Pairs of text; the run did not record which."
    names = ", ".join(map(_escaped, history.record["files"]))
    said = f"{facts['pairs']:,} to learn from, {facts['held out']:,} held out"
    return "\n- ".join([f"Pairs of text from {names}: {said}.\n", *map(_escaped, notes)])


def _escaped(text: str) -> str:
    """Text that Markdown shows as it stands."""
    return escape(" ".join(text.split()), quote=False).replace("`", "&#96;")
