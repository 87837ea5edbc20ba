"""Names the command that installs a missing package of an optional dependency group."""

from collections.abc import Iterator
from contextlib import contextmanager

from dragoman.errors import MissingExtraError

EXTRAS = {
    **dict.fromkeys(("accelerate", "ftfy", "jinja2", "matplotlib", "psutil"), "train"),
    **dict.fromkeys(("pyarrow", "rapidfuzz", "sacrebleu", "torch"), "train"),
    **dict.fromkeys(("mlflow", "tensorboard", "wandb"), "track"),
    **dict.fromkeys(("fastapi", "python-multipart", "starlette", "uvicorn"), "serve"),
    **dict.fromkeys(("ctranslate2", "sentencepiece"), "ecosystem"),
    **dict.fromkeys(("fsspec", "s3fs"), "remote"),
    "pynvml": "gpu",
    "sentencex": "documents",
}
"""Each package as it is imported, with the group of pyproject.toml that installs it."""


@contextmanager
def naming_extras() -> Iterator[None]:
    """Context manager and decorator; turns the failed import of an optional package into an error.

    Raises:
        MissingExtraError: the package is not installed; the message holds the exact command.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        cure = f"pip install 'dragoman[{EXTRAS[package]}]'"
        raise MissingExtraError(f"this needs the package {package!r}", cure=cure) from error
