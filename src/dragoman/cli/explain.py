"""``dragoman explain``"""

from dataclasses import dataclass

from rich.console import Console
from tyro.conf import Positional

from dragoman.api import load
from dragoman.cli.aids import AidOptions
from dragoman.cli.parse import Given, OutputFile, Picture, UsesModel
from dragoman.errors import OptionError
from dragoman.files import write_text


@dataclass(frozen=True)
class Explain(AidOptions, UsesModel):
    """Show how a model translates one sentence: tokens, states, attention, search, loss."""

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
    """Draw the attention into this file (.png, .svg or .pdf). An .svg has the
    letters of any script."""


def main(asked: Explain, given: Given) -> None:
    """Run the verb."""
    model = load(asked.folder, device=asked.device)
    if asked.attention and model.config.model.attention == "none":
        raise OptionError("this model has no attention", place="--attention")
    options = given.get("search", {})
    found = model.explain(asked.sentence, asked.target, aids=asked.read(model, options), **options)
    if asked.html:
        write_text(asked.html, found.to_html())
    if asked.json:
        print(found.to_json())
    elif not (asked.html or asked.attention):
        Console().print(found)
    if asked.attention:
        found.draw_attention(asked.attention)
