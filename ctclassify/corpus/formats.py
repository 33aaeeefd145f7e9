"""Write a table as Parquet, JSON lines or CSV, and read it back; the same rows give the same bytes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from io import BufferedWriter
from pathlib import Path
from typing import Any, TextIO

from ctclassify.corpus.compression import require_pyarrow
from ctclassify.corpus.tables import Table

__all__ = ["OUTPUT_FORMATS", "count_rows", "read_rows", "write_table"]

OUTPUT_FORMATS = ("parquet", "jsonl", "csv")

_DECIMALS = 6
"""Decimals of a probability in JSON and CSV, as ``ctclassify tag`` writes them; Parquet holds float32 in full."""

_ROW_GROUP = 1 << 16


def write_table(stream: BufferedWriter, table: Table, types: Mapping[str, str], output_format: str) -> None:
    """Write a table.

    Parameters
    ----------
    stream : binary file
        Where to.
    table : dict of str to list
        The columns.
    types : mapping of str to str
        Their types: ``str``, ``int``, ``double``, ``float``, ``bool``, ``labels``.
    output_format : str
        One of :data:`OUTPUT_FORMATS`.
    """
    if output_format == "parquet":
        _write_parquet(stream, table, types)
        return
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="\n", write_through=False)
    (_write_jsonl if output_format == "jsonl" else _write_csv)(text, table, types)
    text.flush()
    text.detach()


def _write_parquet(stream: BufferedWriter, table: Table, types: Mapping[str, str]) -> None:
    """Write Parquet with zstd; labels are a list column."""
    require_pyarrow("writing Parquet")
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow = {
        "str": pa.string(),
        "int": pa.int64(),
        "double": pa.float64(),
        "float": pa.float32(),
        "bool": pa.bool_(),
        "labels": pa.list_(pa.string()),
    }
    schema = pa.schema([(name, arrow[kind]) for name, kind in types.items()])
    columns = pa.table({name: pa.array(table[name], type=schema.field(name).type) for name in types}, schema=schema)
    pq.write_table(columns, stream, compression="zstd", row_group_size=_ROW_GROUP)


def _rows(table: Table) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table."""
    names = list(table)
    for values in zip(*table.values(), strict=True):
        yield dict(zip(names, values, strict=True))


def _write_jsonl(stream: TextIO, table: Table, types: Mapping[str, str]) -> None:
    """Write one object a row; probabilities and counts of labels lie in objects of their own."""
    prefix, group = ("p_", "probabilities") if any(name.startswith("p_") for name in types) else ("n_", "label_counts")
    first = list(types).index("labels") + 1
    grouped = [name for name in list(types)[first:] if name.startswith(prefix)]
    for row in _rows(table):
        values = {name.removeprefix(prefix): _rounded(row.pop(name)) for name in grouped}
        line = {name: _rounded(value) for name, value in row.items()}
        stream.write(json.dumps({**line, group: values}, ensure_ascii=False) + "\n")


def _write_csv(stream: TextIO, table: Table, types: Mapping[str, str]) -> None:
    """Write a header and one row a line; labels are joined by ``|``, what is not known is empty."""
    # All text is quoted: csv would leave a lone carriage return bare, which readers take for the end of a row.
    writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(list(types))
    cells = [_cells(table[name], kind) for name, kind in types.items()]
    writer.writerows(zip(*cells, strict=True))


def _cells(values: list[Any], kind: str) -> list[Any]:
    """Return a column as CSV holds it."""
    if kind == "labels":
        return ["|".join(value) for value in values]
    if kind == "bool":
        return ["true" if value else "false" for value in values]
    return ["" if value is None else _rounded(value) for value in values]


def _rounded(value: Any) -> Any:
    """Return a float with six decimals, other values as they are."""
    return round(value, _DECIMALS) if isinstance(value, float) else value


def count_rows(path: Path, output_format: str) -> int:
    """Return how many rows a written file holds."""
    if output_format == "parquet":
        import pyarrow.parquet as pq

        return int(pq.read_metadata(path).num_rows)
    if output_format == "jsonl":
        with path.open("rb") as stream:
            return sum(1 for _ in stream)
    _allow_long_cells()
    with path.open(encoding="utf-8", newline="") as text:
        return sum(1 for _ in csv.reader(text)) - 1


def _allow_long_cells() -> None:
    """Let ``csv`` read back what it wrote: a sentence may be longer than its limit for a cell."""
    csv.field_size_limit(max(csv.field_size_limit(), 2**31 - 1))


def read_rows(path: Path, types: Mapping[str, str], output_format: str, names: Sequence[str]) -> Iterator[list[Any]]:
    """Yield the rows of a written file, the named columns alone, with the types that were written.

    Parameters
    ----------
    path : pathlib.Path
        A part.
    types : mapping of str to str
        Of its columns.
    output_format : str
        One of :data:`OUTPUT_FORMATS`.
    names : sequence of str
        Columns to read; each of them is in ``types``.

    Yields
    ------
    list
        Values in the order of ``names``. An empty cell of CSV is None in columns of text.
    """
    if output_format == "parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=4096, columns=list(names)):
                columns = [batch.column(name).to_pylist() for name in names]
                yield from map(list, zip(*columns, strict=True))
    elif output_format == "jsonl":
        with path.open(encoding="utf-8") as text:
            for line in text:
                row = json.loads(line)
                for group, prefix in (("probabilities", "p_"), ("label_counts", "n_")):
                    row.update({prefix + name: value for name, value in row.pop(group, {}).items()})
                yield [row[name] for name in names]
    else:
        _allow_long_cells()
        with path.open(encoding="utf-8", newline="") as text:
            for cells in csv.DictReader(text):
                yield [_value(cells[name], types[name]) for name in names]


def _value(cell: str, kind: str) -> Any:
    """Return what a cell of CSV stands for."""
    if kind == "labels":
        return cell.split("|") if cell else []
    if kind == "bool":
        return cell == "true"
    if cell == "":
        return None
    if kind == "int":
        return int(cell)
    return float(cell) if kind in ("float", "double") else cell
