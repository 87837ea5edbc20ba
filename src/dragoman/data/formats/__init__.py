"""The formats of files of pairs: a module for each, and the choice among them."""

from collections.abc import Callable, Iterator, Sequence

from dragoman.config.options import DataOptions
from dragoman.data.formats import aligned, anki, columns, markup, objects, po, tables
from dragoman.data.pairs import Faults, Record
from dragoman.data.streams import Opened
from dragoman.errors import OptionError

Recognise = Callable[[str, str], bool]
"""Whether a file has the format, by the text of its beginning and its name in lower case."""
Rows = Callable[[Opened, DataOptions, Faults], Iterator[Record]]
"""Yields the records of an opened file; the first note of the faults says how it is read."""
FORMATS: dict[str, tuple[Recognise, Rows]] = {
    "table": (tables.recognise, tables.rows),
    "xml": (markup.recognise, markup.rows),
    "po": (po.recognise, po.rows),
    "anki": (anki.recognise, anki.rows),
    "jsonl": (objects.recognise_lines, objects.line_rows),
    "json": (objects.recognise_array, objects.array_rows),
    "csv": (columns.recognise_csv, columns.csv_rows),
    "tsv": (lambda text, name: True, columns.tsv_rows),
}
"""Every format of one file by its name in ``data.format``. The first that recognises a file reads
it; a file that is nothing else is TSV."""
_ONLY_OF = {"columns": "tsv csv anki", "fields": "jsonl json table", "languages": "xml"}
"""The formats that read an option."""


def form_of(text: str, name: str) -> str:
    """The name of the format of a file, by the text of its beginning and its own name."""
    return next(form for form, (has, _) in FORMATS.items() if has(text, name))


def rows_of(files: Sequence[Opened], options: DataOptions, faults: Faults) -> Iterator[Record]:
    """Yield the records of one file, or of two aligned ones.

    Args:
        files: one opened file, or two.
        options: how they are read; with ``format`` "auto" the content and the name decide.
        faults: its notes gain how the file is read, and which options its format does not use.

    Raises:
        OptionError: columns of features are asked for in a format that has none.
        DataError: see the ``rows`` of each format.
    """
    forms = [form_of(file.text, file.name) for file in files]
    form = str(options.format) if options.format != "auto" else forms[0]
    form = "aligned" if len(files) == 2 else form
    for name, readers in _ONLY_OF.items() if options.format == "auto" else ():
        if form not in readers.split() and getattr(options, name) != getattr(DataOptions, name):
            faults.notes.append(f"--data.{name} is not used: the format {form} has none")
    if options.features_column and form not in ("tsv", "csv"):
        cause = f"the format {form} has no columns of features"
        raise OptionError(cause, place="data.features_column", cure="give one file of columns")
    if form == "aligned":
        faults.reads("two aligned files")
        return aligned.rows(files, options, is_text="tsv" in forms)
    return FORMATS[form][1](files[0], options, faults)
