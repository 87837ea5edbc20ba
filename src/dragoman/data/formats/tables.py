"""Parquet and Arrow (Feather) tables: two fields of text of each row; lines are rows."""

from collections.abc import Iterator
from typing import Any

from dragoman.config.options import DataOptions
from dragoman.data.formats.objects import fields_of
from dragoman.data.pairs import Faults, Record
from dragoman.data.streams import HARMLESS, HEAD, MOST_PACKED, Opened, naming
from dragoman.errors import naming_extras

_ROWS = 16
"""Rows that are held at a time: a text that all rows share stands in the file once."""


def recognise(text: str, name: str) -> bool:
    """Whether the file begins as a table does, or is named as one.

    The mark alone does not tell, since a text may begin with it: Parquet's first page begins with
    byte 0x15, and Arrow's mark is padded to 8 bytes.
    """
    is_named = name.endswith((".arrow", ".feather", ".parquet"))
    return is_named or text.startswith(("PAR1\x15", "ARROW1\0\0"))


def rows(source: Opened, options: DataOptions, faults: Faults) -> Iterator[Record]:
    """Two fields of each row of a Parquet table, an Arrow file (Feather) or an Arrow stream.

    Raises:
        DataError: the table is damaged, or unpacks to far more than its size.
    """
    with naming_extras():
        import pyarrow as pa
    file = pa.OSFile(str(source.path)) if source.on_disk else pa.BufferReader(source.stream.read())
    kind = "Parquet" if source.text.startswith("PAR1") else "Arrow"
    with naming(source.path, f"a damaged {kind} table", "fetch it again"):
        batches = _parquet(file) if kind == "Parquet" else _arrow(file, source.text)
        every = (row for batch in batches for row in batch.to_pylist())
        yield from fields_of(enumerate(every, 1), kind, options, faults)


def _parquet(file: Any) -> Iterator[Any]:
    """The batches of rows of a Parquet table, its columns of text alone."""
    import pyarrow.parquet as pq

    table = pq.ParquetFile(file, buffer_size=HEAD, pre_buffer=False)
    facts, schema = table.metadata, table.schema
    groups = [facts.row_group(number) for number in range(facts.num_row_groups)]
    if sum(group.total_byte_size for group in groups) > max(HARMLESS, MOST_PACKED * file.size()):
        raise ValueError(f"it unpacks to more than {MOST_PACKED} times its size, unlike text")
    # Each column without lists has as many values as there are rows, nulls included.
    flat = [n for n, column in enumerate(schema) if not column.max_repetition_level]
    counts = {sum(group.column(n).num_values for group in groups) for n in flat}
    counts |= {facts.num_rows, sum(group.num_rows for group in groups)}
    read = 0
    for batch in table.iter_batches(_ROWS, columns=_of_text(table.schema_arrow)):
        read += len(batch)
        yield batch
    if len(counts | {read}) > 1:
        told = " and ".join(f"{count:,}" for count in sorted(counts | {read}))
        raise ValueError(f"its numbers of rows contradict each other: {told}")


def _arrow(file: Any, start: str) -> Iterator[Any]:
    """The batches of rows of an Arrow file or stream, its columns of text alone.

    ``start`` is the beginning of its bytes: a stream has no mark.
    """
    import pyarrow as pa

    is_file = start.startswith("ARROW1")
    table = pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)
    for whole in map(table.get_batch, range(table.num_record_batches)) if is_file else table:
        whole.validate(full=True)  # a text that lies beyond the file would end the program
        batch = whole.select(_of_text(table.schema))
        yield from (batch.slice(start, _ROWS) for start in range(0, len(batch), _ROWS))


def _of_text(schema: Any) -> list[str]:
    """The names of columns that are or hold text."""
    return [field.name for field in schema if "string" in str(field.type)]
