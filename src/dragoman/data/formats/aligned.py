"""Two aligned files: line n of one with line n of the other."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from dragoman.config.options import DataOptions
from dragoman.data.lines import decoded_lines, longest_line
from dragoman.data.pairs import Fault, Record, counted
from dragoman.data.streams import Opened, place
from dragoman.errors import DataError

_PEEK = 20
"""Lines that tell whether a file holds pairs by itself."""


def rows(files: Sequence[Opened], options: DataOptions, *, is_text: bool) -> Iterator[Record]:
    """Line n of one file with line n of the other.

    Args:
        files: the two.
        options: whether a format was asked for.
        is_text: one of them at least is in no format of pairs but, maybe, columns.

    Raises:
        DataError: one file is longer; or both look like files of pairs, such as ``train.tsv
            dev.tsv``, while no format was asked for.
    """
    one, other = (file.path for file in files)
    separator = "\t" if options.separator == "auto" else options.separator
    begin = [text for file in files for text in file.text.split("\n")[:_PEEK] if text]
    is_text &= not (begin and all(separator in text for text in begin))
    if options.format == "auto" and not is_text:
        cause = "both look like files of pairs"
        cure = f"--validation-pairs {other} to validate on it, --format aligned if lines match"
        raise DataError(cause, place=f"{place(one)} and {place(other)}", cure=cure)
    every = zip_longest(*(decoded_lines(file, longest_line(options)) for file in files))
    for line, (first, second) in enumerate(every, 1):
        if first is None or second is None:
            more = 1 + sum(1 for _ in every)
            if more == 1 and not first and not second:
                return  # editors leave a blank line at the end
            longer, shorter = (one, other) if second is None else (other, one)
            cause = f"{counted(more, 'line')} more than {place(shorter)}, which has {line - 1:,}"
            cure = "line n of one file must belong to line n of the other"
            raise DataError(cause, place=place(longer, line), cure=cure)
        if isinstance(first, Fault):
            yield line, first
        elif isinstance(second, Fault):
            yield line, second
        else:
            yield line, (first, second) if first or second else None
