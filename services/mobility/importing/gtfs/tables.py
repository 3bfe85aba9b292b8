"""The tables of a GTFS feed: comma-separated text in a zip file or a folder, read row by row.

Files are read by their names and never unpacked, so that a path in a zip means nothing. What one may cost is bounded: the directory of a
zip, the size and the compression of a table, the length of a line and of a row.
"""

from __future__ import annotations

import contextlib
import csv
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

from services.mobility.importing.problems import Stopped

LARGEST_TABLE: Final = 8 << 30  # bytes, unpacked
SMALL_TABLE: Final = 64 << 20  # bytes that no compression makes suspicious
LARGEST_RATIO: Final = 200  # unpacked to packed; tables of times reach 30
LONGEST_LINE: Final = 1 << 20  # bytes
_LINES_OF_A_ROW: Final = 1000  # a quoted value may hold ends of lines
_LARGEST_DIRECTORY: Final = 4 << 20  # bytes: a feed has some twenty files
_END: Final = struct.Struct("<4s4H2IH")  # of a zip's directory (APPNOTE.TXT 4.3.16)
_LONGEST_COMMENT: Final = 65_535
TABLES: Final = (
    "agency.txt", "calendar.txt", "calendar_dates.txt", "frequencies.txt", "routes.txt", "stop_times.txt", "stops.txt", "trips.txt",
)  # fmt: skip


class Feed:
    """A zip file or a folder. Raises Stopped when it is neither, and in reading for what cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        self._prefix = ""
        try:
            if not path.is_dir():
                self._zip = _open_zip(path)
                self._prefix = _folder_in(self._zip)
        except OSError as error:
            raise Stopped(f"{path} cannot be read: {error.strerror or error}") from None
        if not self.has("stops.txt"):
            self.close()
            raise Stopped(f"{path} is no GTFS feed: there is no stops.txt in it")

    def close(self) -> None:
        if self._zip is not None:
            self._zip.close()

    def has(self, name: str) -> bool:
        """Say whether the feed has a table."""
        if self._zip is None:
            return (self.path / name).is_file()
        return self._prefix + name in self._zip.NameToInfo

    def names(self) -> list[str]:
        """Return the tables that are there, of those that are read."""
        return [name for name in TABLES if self.has(name)]

    def size(self, name: str) -> int:
        """Return the bytes of a table, unpacked."""
        return (self.path / name).stat().st_size if self._zip is None else self._zip.getinfo(self._prefix + name).file_size

    def open(self, name: str) -> BinaryIO:
        """Open a table. Raises Stopped for one that is too large, or that a zip hides."""
        try:
            if self._zip is None:
                if self.size(name) > LARGEST_TABLE:
                    raise Stopped(f"{name} is larger than {LARGEST_TABLE:,} bytes")
                return (self.path / name).open("rb")
            info = self._zip.getinfo(self._prefix + name)
            _check(info)
            return cast(BinaryIO, self._zip.open(info))
        except (OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
            raise Stopped(f"{name} in {self.path} cannot be read: {error}") from None

    def table(self, name: str, read: Callable[[int], None] = lambda count: None) -> Table:
        """Read a table. read: takes the number of bytes as they are read."""
        return Table(self, name, read)


class Table:
    """Rows of one table. Iterating gives the number of the line and the row, as a mapping."""

    def __init__(self, feed: Feed, name: str, read: Callable[[int], None]) -> None:
        self._feed = feed
        self._name = name
        self._read = read

    def __iter__(self) -> Iterator[tuple[int, Mapping[str, str]]]:
        with self._rows() as (columns, rows):
            width = len(columns)
            for line, row in rows:
                row += [""] * (width - len(row))
                yield line, dict(zip(columns, map(str.strip, row), strict=False))

    @contextlib.contextmanager
    def chosen(self, wanted: Sequence[str]) -> Iterator[Iterator[tuple[int, list[str]]]]:
        """Give the number of the line and the values of these columns, "" where there is none: faster than a mapping."""
        with self._rows() as (columns, rows):
            places = [columns.index(column) if column in columns else -1 for column in wanted]

            def give() -> Iterator[tuple[int, list[str]]]:
                for line, row in rows:
                    width = len(row)
                    yield line, [row[place].strip() if 0 <= place < width else "" for place in places]

            yield give()

    @contextlib.contextmanager
    def _rows(self) -> Iterator[tuple[list[str], Iterator[tuple[int, list[str]]]]]:
        with self._feed.open(self._name) as file, _told(self._name):
            lines = _Lines(file, self._name, self._read)
            rows = csv.reader(lines)
            columns = [column.strip() for column in next(rows, [])]
            if len(set(columns)) != len(columns):
                raise Stopped(f"{self._name}: a column stands twice in the first line")
            yield columns, self._all(rows, lines)

    def _all(self, rows: Iterator[list[str]], lines: _Lines) -> Iterator[tuple[int, list[str]]]:
        for row in rows:
            lines.of_this_row = 0
            if row and (len(row) > 1 or row[0].strip()):
                yield lines.number, row


class _Lines:
    """Gives the lines of a file as text. number: of the last one. of_this_row: how many its row has so far."""

    def __init__(self, file: IO[bytes], name: str, read: Callable[[int], None]) -> None:
        self._file = file
        self._name = name
        self._read = read
        self.number = 0
        self.of_this_row = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._file.readline(LONGEST_LINE)
        if not line:
            raise StopIteration
        self.number += 1
        self.of_this_row += 1
        self._read(len(line))
        where = f"{self._name}, line {self.number}"
        if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            raise Stopped(f"{where} is longer than {LONGEST_LINE:,} bytes")
        if self.of_this_row > _LINES_OF_A_ROW:
            raise Stopped(f"{where}: a quoted value goes on for more than {_LINES_OF_A_ROW} lines; is a quotation mark missing?")
        if b"\0" in line:
            raise Stopped(f"{where} holds a zero byte; is it UTF-16? GTFS is UTF-8")
        try:
            return line.decode("utf-8-sig" if self.number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise Stopped(f"{where} is not UTF-8, as GTFS must be") from None


@contextlib.contextmanager
def _told(name: str) -> Iterator[None]:
    """Say which table it is that cannot be read."""
    try:
        yield
    except csv.Error as error:
        raise Stopped(f"{name} cannot be read: {error}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise Stopped(f"{name} cannot be unpacked: {error}") from None


def _open_zip(path: Path) -> zipfile.ZipFile:
    """Raises Stopped for what is no zip, and for one whose directory is too long to be read: it would fill the memory."""
    with path.open("rb") as file:
        length = file.seek(0, 2)
        file.seek(max(0, length - _END.size - _LONGEST_COMMENT))
        tail = file.read()
    place = tail.rfind(b"PK\5\6")
    if place >= 0 and len(tail) - place >= _END.size:
        directory = _END.unpack_from(tail, place)[5]
        if directory > _LARGEST_DIRECTORY or b"PK\6\7" in tail[max(0, place - 20) : place]:
            raise Stopped(f"{path} is no GTFS feed: it holds too many or too large files; unpack it, and name the folder")
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError) as error:
        raise Stopped(f"{path} is neither a folder nor a zip file: {error}") from None


def _folder_in(archive: zipfile.ZipFile) -> str:
    """Return what stands before the names: "", or one folder, which some publishers pack by mistake."""
    if "stops.txt" in archive.NameToInfo:
        return ""
    found = [folder for name in archive.NameToInfo for folder, _, file in (name.partition("/"),) if file == "stops.txt"]
    return f"{found[0]}/" if len(found) == 1 and found[0] not in ("", ".", "..") else ""


def _check(info: zipfile.ZipInfo) -> None:
    if info.file_size > LARGEST_TABLE:
        raise Stopped(f"{info.filename} is larger than {LARGEST_TABLE:,} bytes")
    if info.file_size > SMALL_TABLE and info.file_size > LARGEST_RATIO * max(1, info.compress_size):
        raise Stopped(f"{info.filename} is compressed more than {LARGEST_RATIO} to one, which no table is; unpack it if it is right")
