"""Parquet files, read by row groups. Needs the extra `data`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from afterbert.base.errors import UserError
from afterbert.base.extras import from_extra
from afterbert.text.files import streams
from afterbert.text.files.documents import Document, Tally
from afterbert.text.files.intake import Intake
from afterbert.text.files.policy import Policy
from afterbert.text.sources import SourcePart
from afterbert.text.sources._file import StoredFile

_ROWS_AT_ONCE = 256
# A column of a row group is read through a window of this size; without one it is read whole, however large.
_BYTES_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Parquet(StoredFile):
    """A column of strings in a Parquet file, one document a row; a missing value is an empty document.

    text_column, id_column, language_column: names of columns; the id's may be absent. Places are rows from 0, parts
    are row groups.
    """

    text_column: str = "text"
    id_column: str = "id"
    language_column: str | None = None

    extensions: ClassVar[tuple[str, ...]] = (".parquet", ".pq")

    def parts(self, target_bytes: int) -> list[SourcePart]:
        with self._opened() as file:
            wanted = self._columns(file)
            groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
            sizes = [
                sum(
                    column.total_compressed_size
                    for column in map(group.column, range(group.num_columns))
                    if column.path_in_schema in wanted
                )
                for group in groups
            ]
        parts, start, size = [], 0, 0
        for stop, group_size in enumerate(sizes, start=1):
            size += group_size
            if size >= target_bytes or stop == len(sizes):
                parts.append(SourcePart(self, start, stop, size))
                start, size = stop, 0
        return parts or [SourcePart(self, 0, 0)]

    def read(self, part: SourcePart, policy: Policy, tally: Tally) -> Iterator[Document]:
        intake = Intake(policy, tally, path=self.path, name=self.title, language=self.language, unit="row")
        if part.start == 0:
            tally.files[".parquet"] += 1
        with self._opened() as file:
            columns = self._columns(file)
            row = sum(file.metadata.row_group(i).num_rows for i in range(part.start))
            groups = list(range(file.metadata.num_row_groups))[part.start : part.stop]
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, row_groups=groups, columns=columns):
                values = {name: _cells(batch.column(name)) for name in columns}
                for at in range(batch.num_rows):
                    yield from self._row({name: cells[at] for name, cells in values.items()}, row + at, intake)
                row += batch.num_rows

    def _row(self, record: dict[str, Any], row: int, intake: Intake) -> Iterator[Document]:
        # Strings come as bytes, as Parquet writers need not have checked them.
        raw = record[self.text_column] or b""
        intake.tally.bytes += len(raw)
        text = intake.decoded(raw, row)
        if text is None:
            return
        own, code = record.get(self.id_column), record.get(self.language_column or "")
        id = None if own is None else _word(own)
        yield from intake.documents(text, row, id=id, language=None if code is None else _word(code))

    def _columns(self, file: Any) -> list[str]:
        """The columns to read. Raises UserError for one that is absent or holds no strings."""
        import pyarrow as pa

        schema = file.schema_arrow
        for key in filter(None, (self.text_column, self.language_column)):
            if key not in schema.names:
                near = streams.near_name(key, schema.names)
                raise UserError(f"{streams.shown(self.path)}: no column is called '{key}'; {near}")
        kind = schema.field(self.text_column).type
        if not _is_text(kind.value_type if pa.types.is_dictionary(kind) else kind):
            raise UserError(f"{streams.shown(self.path)}: column '{self.text_column}' holds {kind}, strings are needed")
        wanted = (self.text_column, self.id_column, self.language_column)
        return [name for name in dict.fromkeys(wanted) if name is not None and name in schema.names]

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        pa = from_extra("pyarrow", "data", needed_by=streams.shown(self.path))
        import pyarrow.parquet as pq

        with streams.open_file(self.path) as stored:
            try:
                with pq.ParquetFile(stored, buffer_size=_BYTES_AT_ONCE, pre_buffer=False) as file:
                    yield file
            except (pa.ArrowException, OSError) as error:
                found = f"{streams.shown(self.path)} is not a sound Parquet file"
                raise UserError(f"{found} ({str(error).splitlines()[0]}); fetch it again") from None


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _cells(column: Any) -> list[Any]:
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return (column.cast(kind).cast(pa.large_binary()) if _is_text(kind) else column).to_pylist()


def _word(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
