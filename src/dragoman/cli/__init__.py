"""The command line: one file a verb, and this list of them."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from dragoman import __version__
from dragoman.errors import DragomanError, did_you_mean

VERBS = {
    "demo": "the whole story on embedded data, in under three minutes",
    "check": "what is in a file of pairs, and what is wrong with it",
    "train": "from a file of pairs to a model folder; the same command again resumes",
    "translate": "one line in, one line out",
    "evaluate": "scores of a model, each with its signature",
    "data": "list or write the embedded sample corpora",
}

_ABOUT = """Dragoman trains small sequence-to-sequence models from a file of text pairs.

usage: dragoman VERB ...      dragoman VERB --help explains every option

"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 done, 1 failed, 2 wrong usage or input."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(_ABOUT + "".join(f"  {verb:10}  {what}\n" for verb, what in VERBS.items()), end="")
        return 0 if given else 2
    if given[0] == "--version":
        print(f"dragoman {__version__}")
        return 0
    verb = given[0]
    if verb not in VERBS:
        print(f"dragoman: no verb {verb!r} ({did_you_mean(verb, VERBS)})", file=sys.stderr)
        return 2
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a test's capture is none
            stream.reconfigure(encoding="utf-8", errors="replace", newline="\n")
    try:
        code = int(import_module(f"dragoman.cli.{verb}").main(given[1:]))
        sys.stdout.flush()
        return code
    except DragomanError as error:
        print(f"dragoman {verb}: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"dragoman {verb}: {error.filename or 'output'}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"dragoman {verb}: interrupted", file=sys.stderr)
        return 130
