"""Columns: TSV, where quotes mean nothing, and CSV, where they may enclose fields."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from itertools import chain

from dragoman.config.options import DataOptions
from dragoman.data.lines import decoded_lines, longest_line
from dragoman.data.pairs import Fault, Faults, Record, Text, counted
from dragoman.data.streams import Opened, place
from dragoman.errors import DataError, OptionError, did_you_mean

SEPARATORS = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "pipe", " ": "space", ":": "colon"}
"""Names of separators."""
_HEADINGS = (
    "source target src tgt trg input output question answer questions answers prompt response text "
    "completion translation sentence sentences original translated word words phonemes phones "
    "pronunciation ipa lemma form features front back en english fr french de german es spanish "
    "ita italian pt portuguese nl dutch ru russian zh chinese ja japanese ko korean ar arabic"
)
"""Words of which the first line of a file of columns consists when it names them."""
_CURE = "close the quote, or double quotes inside a field; --data.format tsv if they mean nothing"
Cells = Iterator[tuple[int, list[str] | Fault]]
"""The line where each record begins, and its fields, none for a blank line, or its fault."""


def recognise_csv(text: str, name: str) -> bool:
    """Whether the name says CSV, or quotes enclose the fields as a program writes them."""
    return name.endswith(".csv") or any(_is_quoted(text, separator) for separator in "\t,;")


def tsv_rows(source: Opened, options: DataOptions, faults: Faults) -> Iterator[Record]:
    """Two columns of each line."""
    separator = "\t" if options.separator == "auto" else options.separator
    lines = enumerate(decoded_lines(source, longest_line(options)), 1)
    found = ((n, t if isinstance(t, Fault) else t.split(separator)) for n, t in lines)
    title = "TSV" if separator == "\t" else f"columns, separator {separator!r}"
    return two_columns(found, separator, [title], options, faults)


def csv_rows(source: Opened, options: DataOptions, faults: Faults) -> Iterator[Record]:
    """Two fields of each record; its line is the one where it begins."""
    separator = _separator(source.text) if options.separator == "auto" else options.separator
    if len(separator) != 1 or separator == '"':
        cause = f"{separator!r} cannot separate columns of CSV, only one character can"
        raise OptionError(cause, place="data.separator", cure="try --data.format tsv")
    found = records(decoded_lines(source, longest_line(options)), separator, source, options)
    quoted = re.search(rf'(?m)(^|{re.escape(separator)}) ?"', source.text) is not None
    titles = ["CSV", SEPARATORS.get(separator, repr(separator)), "quoted" * quoted]
    return two_columns(found, separator, titles, options, faults)


def two_columns(
    found: Cells, separator: str, titles: list[str], options: DataOptions, faults: Faults
) -> Iterator[Record]:
    """Two fields of each record of ``found``, of which the first may name the columns.

    Args:
        found: the records.
        separator: what stands between two fields, for messages.
        titles: what the file is called in the note about how it is read.
        options: name the columns.
        faults: gains how the file is read.
    """
    first = next(found, (1, list[str]()))
    chosen, header = _choose([] if isinstance(first[1], Fault) else first[1], options, faults)
    faults.reads(*titles, "header" * header)
    wanted = max(chosen) + 1
    name = "a tab" if separator == "\t" else repr(separator)
    cure = f"is the separator {name}? try --data.separator"
    for line, cells in found if header else chain([first], found):
        if isinstance(cells, Fault):
            yield line, cells
        elif len(cells) >= wanted:
            yield line, tuple(cells[number] for number in chosen)
        elif any(map(str.strip, cells)):
            has = counted(len(cells), "column")
            yield line, Fault("columns", f"{has}, {wanted} expected", cure)
        else:
            yield line, None


def _choose(names: list[str], options: DataOptions, faults: Faults) -> tuple[list[int], bool]:
    """Decide from the first line which columns are read; note those that nobody chose.

    Returns:
        The columns of source, target and features, counted from 0, and whether the first line
        names columns.

    Raises:
        OptionError: there is no column of that name, or there are several.
    """
    names, asked = [name.strip() for name in names], (*options.columns, *options.features_column)
    for column in asked:
        if isinstance(column, str) and names.count(column) != 1:
            cause = f"{names.count(column) or 'no'} columns are named {column!r}, 1 is expected"
            cure = did_you_mean(column, names) if column not in names else "give its number"
            raise OptionError(cause, place="data.columns", cure=cure)
    found = [names.index(one) if isinstance(one, str) else one - 1 for one in asked]
    header = options.header
    if header == "auto":
        words = [re.findall(r"[^\W_]+", names[at].lower()) for at in found[:2] if at < len(names)]
        named = len(words) == 2 and all(words) and {*words[0], *words[1]} <= {*_HEADINGS.split()}
        header = named or any(isinstance(column, str) for column in asked)
    if options.columns == (1, 2) and len(names) > 2 and not options.features_column:
        unread = "column 3 is" if len(names) == 3 else f"columns 3 to {len(names)} are"
        which = f" ({', '.join(map(repr, names[2:8]))})" if header else ""
        note = f"{unread} not read{which}: source and target are columns 1 and 2"
        faults.notes.append(f"{note} (--columns to choose)")
    return found, header


def records(
    texts: Iterable[Text], separator: str, source: Opened, options: DataOptions, skip: int = 0
) -> Cells:
    """The records of CSV in the lines of a file after the first ``skip``.

    Raises:
        DataError: a quote is not closed up to the end of the file, or of the longest field.
    """
    fault: Fault | None = None

    def feed() -> Iterator[str]:
        nonlocal fault
        for text in texts:
            fault = text if isinstance(text, Fault) else fault
            yield "\n" if isinstance(text, Fault) else text.replace("\r", " ") + "\n"

    csv.field_size_limit(longest_line(options))  # a limit of the whole process
    spaced = separator != " " and f'{separator} "' in source.text  # never both, from Python 3.13
    reader = csv.reader(feed(), delimiter=separator, strict=True, skipinitialspace=spaced)
    while True:
        line, fault = skip + reader.line_num + 1, None
        try:
            cells = next(reader)
            yield line, fault or cells
        except StopIteration:
            return
        except csv.Error as error:
            if "limit" in str(error) or "end of data" in str(error):
                cause = "the quote that opens here is not closed"
                raise DataError(cause, place=place(source.path, line), cure=_CURE) from error
            yield line, Fault("quotes", "a quoted field does not end where its quote does", _CURE)


def _separator(text: str) -> str:
    """The separator that cuts most records of the beginning into as many fields as the first.

    Of two that do alike it is the one that is rarer in sentences.
    """
    lines = text.replace("\r", " ").split("\n")[:200]

    def fit(separator: str) -> int:
        widths = [len(cells) for cells in csv.reader(lines, delimiter=separator) if cells]
        return widths.count(widths[0]) if widths and widths[0] > 1 else 0

    return max("\t;|,", key=fit)


def _is_quoted(text: str, separator: str) -> bool:
    """Whether ``text`` is what a program writes that quotes fields: all, or those that need it.

    Plain text begins with a quote as well (``"Go!" he said.``) or holds one; a program would
    double it.
    """
    text = text.replace("\r\n", "\n").rstrip("\n") + "\n"
    try:
        rows = list(csv.reader(io.StringIO(text, newline="\n"), delimiter=separator, strict=True))
    except csv.Error:
        return False
    if '"' not in text or any(len(row) == 1 for row in rows):
        return False
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
        out = io.StringIO()
        csv.writer(out, delimiter=separator, quoting=quoting, lineterminator="\n").writerows(rows)
        if out.getvalue() == text:
            return True
    return False
