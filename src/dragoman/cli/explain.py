"""``dragoman explain``"""

from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from tyro.conf import Positional

from dragoman.cli import say
from dragoman.cli.parse import Given
from dragoman.cli.paths import Input, OutputFile, Picture
from dragoman.config.options import SearchOptions
from dragoman.errors import OptionError
from dragoman.files import write_text
from dragoman.inspection.attention_map import draw_maps, map_of


@dataclass(frozen=True)
class Explain:
    """Show how a model translates one sentence: tokens, states, attention, search, loss."""

    folder: Input
    """The model folder."""
    sentence: Positional[str]
    """The source text."""
    target: str | None = None
    """Explain this output instead of the model's own, and show its loss."""
    json: bool = False
    """Print every value as one JSON object."""
    html: OutputFile = None
    """Write the explanation as an HTML page into this file; the page needs
    no other file."""
    attention: Picture = None
    """Draw the attention into this file (.png, .svg or .pdf)."""
    beside: Path | None = None
    """With --attention: a second model folder, whose attention is drawn
    beside the first."""
    device: str = "cpu"
    """Where the model runs: cpu, cuda, cuda:1 or mps."""
    search: SearchOptions = field(default_factory=SearchOptions)
    """How an output is searched for. Options that are not given are those of
    the model folder, whatever default stands here."""


def main(asked: Explain, given: Given) -> int:
    """Run the verb."""
    if asked.beside and not asked.attention:
        raise OptionError("there is no picture to draw in", place="--beside", cure="--attention")
    from dragoman.api import load  # torch only now

    folders = [asked.folder, asked.beside] if asked.beside else [asked.folder]
    models = [load(folder, device=asked.device) for folder in folders]
    if asked.attention and any(model.config.model.attention == "none" for model in models):
        raise OptionError("there is a model without attention", place="--attention")
    options = given.get("search", {})
    found = [model.explain(asked.sentence, asked.target, **options) for model in models]
    if asked.html:
        write_text(asked.html, found[0].to_html())
    if asked.json:
        print(found[0].to_json())
    elif not (asked.html or asked.attention):
        Console().print(found[0])
    if asked.attention:
        titles = [str(folder) if asked.beside else "" for folder in folders]
        maps = [map_of(*one) for one in zip(found, titles, strict=True)]
        for warning in draw_maps(maps, asked.attention):
            say("explain", f"--attention: {warning}")
    return 0
