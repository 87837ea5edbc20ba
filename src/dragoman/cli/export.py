"""``dragoman export``"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dragoman.cli.parse import Given, Input, Inputs, OutputFolder, Verb
from dragoman.config.values import PositiveCount
from dragoman.errors import OptionError
from dragoman.export.bundle import export
from dragoman.export.ctranslate2 import export_ctranslate2
from dragoman.export.web import PACKAGE, export_site
from dragoman.serving.languages import language_codes


@dataclass(frozen=True)
class Export(Verb):
    """Write a model folder as a bundle: a small folder or file that runs without PyTorch.

    The bundle is compared with the folder on pairs of text, and refused where it differs too much.
    translate, evaluate and score take it wherever they take a model folder. With --to web it is
    part of a static site: a page that translates in the browser, from any web server. Transformers
    can be written for other programs too: CTranslate2, Argos Translate and LibreTranslate.
    """

    folder: Input
    """The model folder."""
    out: OutputFolder
    """The bundle, site, model or package to write."""
    to: Literal["bundle", "web", "ctranslate2", "argos"] = "bundle"
    """What to write: a bundle; the folder of a static site; a folder for
    CTranslate2; or a package for Argos Translate and LibreTranslate, a
    file whose name should end in .argosmodel."""
    pairs: Inputs = ()
    """One file of pairs, or two aligned files, to compare on (default: the
    pairs that the training held out)."""
    lines: PositiveCount = 200
    """Number of pairs to compare on."""
    int8: bool = False
    """Store weights in 8 bits: a quarter of the size, and faster."""
    shortlist: bool = True
    """Learn the likely target words of each source word from the training
    pairs, if the folder still has them. The bundle uses it by default where
    at least 95 % of the outputs compared stay the same and BLEU changes by
    at most 0.2; translate --shortlist or --no-shortlist says otherwise."""
    zip: bool = False
    """Write one zip file."""
    licence: str = ""
    """A line for its users: under which licence the model may be used."""
    languages: str = ""
    """Web, argos: the languages of the model, such as fr:en. Without it, the
    name of the folder tells (fra-eng)."""
    runtime: Path = Path(PACKAGE)
    """Web: ONNX Runtime for browsers, the file that npm pack
    onnxruntime-web@VERSION writes, VERSION as in its name here."""


def main(asked: Export, given: Given) -> None:
    """Run the verb."""
    common: dict[str, Any] = {"lines": asked.lines, "int8": asked.int8, "licence": asked.licence}
    paths = asked.folder, asked.out, asked.pairs or None
    (codes,) = language_codes(asked.languages.split(), [asked.folder.resolve().name])
    if asked.zip and asked.to in ("web", "ctranslate2"):
        raise OptionError("a site is a folder, as is a model", place="--zip", cure="leave it out")
    if asked.to == "web":
        facts = export_site(*paths, runtime=asked.runtime, languages=codes, **common)
    elif asked.to == "bundle":
        facts = export(*paths, shortlist=asked.shortlist, zipped=asked.zip, **common)
    else:
        package = codes if asked.to == "argos" else None
        facts = export_ctranslate2(*paths, languages=package, **common)
    for name, value in facts["parity"].items():
        asked.say(f"{name.replace('_', ' ')}: {value}")
    if asked.to == "web":
        asked.say(f"to see the site: python -m http.server --directory {asked.out}")
