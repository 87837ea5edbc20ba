"""Dragoman: small sequence-to-sequence models, from a file of text pairs to a translator.

    pairs of text ─► tokens ─► corpus on disk ─► batches ─► memory ─► features ─► loss     ─► MODEL
    └──────────────── data ────────────────────────────┘   └───── model ──────────────┘ training │
                                                                                                 ▼
    text ◄─ translations ◄─ hypotheses ◄── search ◄── step by step ◄──────────────────────── model
              └► evaluation   └► inspection

    >>> import dragoman
    >>> dragoman.train("pairs.tsv", "fra-eng", dragoman.Config())
    >>> model = dragoman.load("fra-eng")
    >>> model.translate(["Bonjour !"])[0].text
    'Hello!'

Nothing heavy is imported until it is used: ``import dragoman`` does not load torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dragoman.api import Model as Model
    from dragoman.api import load as load
    from dragoman.config.continuing import continued as continued
    from dragoman.config.options import Config as Config
    from dragoman.config.options import DataOptions as DataOptions
    from dragoman.config.options import ModelOptions as ModelOptions
    from dragoman.config.options import SearchOptions as SearchOptions
    from dragoman.config.options import SideOptions as SideOptions
    from dragoman.config.options import TrainingOptions as TrainingOptions
    from dragoman.errors import DragomanError as DragomanError
    from dragoman.learn import distil as distil
    from dragoman.learn import train as train
    from dragoman.search.aids import Aids as Aids
    from dragoman.search.aids import Memory as Memory
    from dragoman.search.aids import Terms as Terms
    from dragoman.search.request import Request as Request

_HOMES = {
    "api": "Model load",
    "config.continuing": "continued",
    "config.options": "Config DataOptions ModelOptions SearchOptions SideOptions TrainingOptions",
    "errors": "DragomanError",
    "learn": "distil train",
    "search.aids": "Aids Memory Terms",
    "search.request": "Request",
}
"""The modules that hold the names of the Python API."""
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__version__ = "0.1.0"
__all__ = ["__version__", *_HOME_OF]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f"dragoman.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module 'dragoman' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
