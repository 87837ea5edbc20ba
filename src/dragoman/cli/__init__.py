"""The command line: a file for each verb, and the list of verbs.

To add a verb, add its line in :data:`VERBS` and a file with two things: a dataclass of its options
that has the verb's name with a capital, and ``main(asked, given)``, which returns an exit code or,
where it is always 0, nothing. ``asked`` is that dataclass; ``given`` are the options of its groups
that stand on the command line.
"""

import gc
import io
import os
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import import_module

from dragoman import __version__
from dragoman.errors import DragomanError, UsageError, did_you_mean, naming_extras

VERBS = {
    "demo": "train, score and use a model on sample phrases, in about two minutes",
    "check": "report what a file of pairs contains, and what is wrong with it",
    "prepare": "make a corpus of a file of pairs, from which train begins at once",
    "train": "train a model on a file of pairs; the same command again resumes",
    "distil": "train a model on the outputs of another, or of an ensemble",
    "augment": "make pairs from text of one language, by a model that translates it",
    "translate": "translate each line of a text, or a document",
    "lexicon": "write the pronunciations of a list of words",
    "serve": "translate over HTTP, with a page to try it",
    "score": "print how probable a model finds given targets",
    "evaluate": "score models on test pairs",
    "export": "write a model as a bundle that runs without PyTorch",
    "bench": "measure how fast this machine trains, by batch size",
    "explain": "follow one sentence through a model, with every value",
    "data": "list the corpora, write a sample, or download one that others publish",
}

_ABOUT = """Dragoman trains small sequence-to-sequence models from a file of text pairs.

usage: dragoman VERB ...      dragoman VERB --help explains every option

"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage or input, 128 + the number of the signal
        that interrupted it (130 for Ctrl-C).
    """
    if arguments is None and sys.getfilesystemencoding() != "utf-8":
        if os.environ.get("PYTHONUTF8") != "1":  # arguments and file names are UTF-8 in any locale
            os.environ["PYTHONUTF8"] = "1"
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    given = list(sys.argv[1:] if arguments is None else arguments)
    _prepare_streams()
    verb = given[0] if given else ""
    try:
        with naming_extras():
            code = _run(verb, given[1:])
        sys.stdout.flush()
        return code
    except DragomanError as error:
        say(verb, str(error))
        return error.exit_code
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        say(verb, f"{error.filename or 'output'}: {error.strerror or error}")
        return 1
    except KeyboardInterrupt as stop:
        say(verb, "interrupted")
        return 128 + int(stop.args[0] if stop.args else signal.SIGINT)


def say(verb: str, text: str) -> None:
    """Print a line on stderr; characters that would break it or control a terminal are escaped."""
    line = f"dragoman {verb}: {text}"
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    print("".join(shown), file=sys.stderr, flush=True)


def _run(verb: str, arguments: list[str]) -> int:
    if verb in ("", "-h", "--help"):
        print(_ABOUT + "".join(f"  {name:10}  {what}\n" for name, what in VERBS.items()), end="")
        return 0 if verb else 2
    if verb == "--version":
        print(f"dragoman {__version__}")
        return 0
    if verb not in VERBS:
        raise UsageError("there is no such verb", cure=did_you_mean(verb, VERBS))
    if threading.current_thread() is threading.main_thread():
        # `kill` ends a command as Ctrl-C does, so that files half-written are removed.
        signal.signal(signal.SIGTERM, _stop)
        # Threads that search leave Python for milliseconds, and then wait for each other. Half a
        # millisecond instead of five, and fewer searches for garbage: a fifth faster (docs/log.md).
        sys.setswitchinterval(0.0005)
        gc.set_threshold(100_000)
    return run_verb(verb, arguments)


def run_verb(verb: str, arguments: Sequence[str]) -> int:
    """Run one of :data:`VERBS`; returns its exit code."""
    from dragoman.cli.parse import parse  # tyro only now

    module = import_module(f"dragoman.cli.{verb}")
    return int(module.main(*parse(getattr(module, verb.capitalize()), arguments)) or 0)


def _stop(number: int, frame: object) -> None:
    raise KeyboardInterrupt(number)


def _prepare_streams() -> None:
    """Use UTF-8 in any locale, and an empty stream in place of a closed one."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):  # a test's capture is none
            stream.reconfigure(encoding="utf-8", errors="replace", newline="\n")
