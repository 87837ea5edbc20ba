"""The formats of files of pairs, one file each, and how one is recognised."""

import re
from collections.abc import Callable, Iterator, Sequence

from dragoman.config.options import DataOptions
from dragoman.data.formats import aligned, anki, columns, markup, objects, po, tables
from dragoman.data.pairs import Faults, Record
from dragoman.data.streams import Opened
from dragoman.errors import OptionError

Recognise = Callable[[str, str], bool]
"""Whether a file has the format, by the text of its beginning and its name in lower case."""
Rows = Callable[[Opened, DataOptions, Faults], Iterator[Record]]
"""What stands in a file, one record after the other; tells how the file is read."""
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


def rows_of(files: Sequence[Opened], options: DataOptions, faults: Faults) -> Iterator[Record]:
    """What stands in one file, whose format ``options`` or its content tell, or in two aligned."""
    source, form = files[0], "aligned" if len(files) == 2 else str(options.format)
    if form == "auto":
        name = re.sub(r"\.(gz|bz2|xz|zst|zip)$", "", source.path.name.lower())
        form = next(each for each, (has, _) in FORMATS.items() if has(source.text, name))
    if options.features_column and form not in ("tsv", "csv"):
        cause = f"the format {form} has no columns of features"
        raise OptionError(cause, place="data.features_column", cure="give one file of columns")
    if form == "aligned":
        return aligned.rows(files, options, faults)
    return FORMATS[form][1](source, options, faults)
