"""What is kept on disk is its owner's alone, from the first moment and after an upgrade; what is not ours stays as it is."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import DatabaseError

from services.common import private_files
from services.common.core_database import CoreDatabase, holds_something_else
from services.common.private_files import close_database, open_log, private_folder
from tests.support.log_lines import captured


@pytest.fixture(autouse=True, params=[0o022, 0o000], ids=["umask 022", "umask 000"])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_and_those_above_it(tmp_path: Path) -> None:
    private_folder(tmp_path / "var" / "gateway" / "deep")
    assert [mode(tmp_path / part) for part in ("var", "var/gateway", "var/gateway/deep")] == [0o700] * 3


def test_an_old_folder_of_ours_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "house"
    for name in ("gateway", "auth", "log", "valkey"):
        (folder / name).mkdir(parents=True)
    files = "gateway.db gateway.db-wal auth.db.bak-1 master.key operator.key .master.key.77.1234 auth.secret admin.password service-clients"
    for name in (
        *files.split(),
        ".service-clients.1a2b",
        "gateway.log.1",
        "tokens.log-20260101.gz",
        "rf1t-2-256.png",
        ".rf1t-2-256.png.0123456789abcdef",
        "tmp8_x1y.part",
    ):
        (folder / name).touch()
    folder.chmod(0o755)
    with captured() as lines:
        private_folder(folder)
        private_folder(folder)
    assert mode(folder) == 0o700
    assert lines == [{"event": "closed to others", "level": "info", "path": str(folder), "before": "0755", "after": "0700"}]


def test_what_an_operator_called_otherwise_is_ours_too(tmp_path: Path) -> None:
    folder = tmp_path / "house"
    folder.mkdir(mode=0o755)
    for suffix in ("", "-wal", "-shm"):
        (folder / f"mine.sqlite3{suffix}").touch()
    private_folder(folder, also="mine.sqlite3")
    assert mode(folder) == 0o700


@pytest.mark.parametrize(
    "entry",
    ["thesis.tex", "photos/", "index.html", ".ssh/", "holiday.png", "nginx.log", "server.key", "shop.db", "dump.rdb", "film.part"],
)
def test_a_folder_with_something_else_in_it_is_left(entry: str, tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    (folder / "gateway").mkdir(parents=True)
    (folder / entry).mkdir() if entry.endswith("/") else (folder / entry).touch()
    folder.chmod(0o755)
    private_folder(folder)
    assert mode(folder) == 0o755


def test_a_shared_folder_is_left(tmp_path: Path) -> None:
    """A `/tmp` of one's own: empty, ours, and sticky."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    private_folder(folder)
    assert mode(folder) == 0o1777


def test_a_folder_of_somebody_else_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    folder.chmod(0o755)
    file = folder / "gateway.db"
    file.touch()
    file.chmod(0o644)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    private_folder(folder)
    close_database(file)
    assert (mode(folder), mode(file)) == (0o755, 0o644)


@pytest.mark.parametrize("place", ["home", "above home", "here", "above here", "temporary", "project"])
def test_a_place_where_others_live_is_left_even_when_it_is_empty(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "valkey"
    below = folder / "log"
    below.mkdir(parents=True)
    folder.chmod(0o755)
    lived_in = below if place.startswith("above") else folder
    if place.endswith("home"):
        monkeypatch.setenv("HOME", str(lived_in))
    elif place.endswith("here"):
        monkeypatch.chdir(lived_in)
    elif place == "temporary":
        monkeypatch.setattr("tempfile.tempdir", str(folder))
    else:
        monkeypatch.setattr(private_files, "_ROOT", folder)
        monkeypatch.setattr(private_files, "_services", frozenset)
    private_folder(folder)
    assert mode(folder) == 0o755


def test_the_root_and_what_is_right_below_it_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "listdir", lambda path: [])
    monkeypatch.setattr(os, "geteuid", lambda: Path("/").stat().st_uid)

    def refuse(path: str, mode: int) -> None:
        raise AssertionError(f"chmod {mode:o} {path}")

    monkeypatch.setattr(os, "chmod", refuse)
    for folder in ("/", "/srv", "/usr", "/etc", "/tmp", "/home"):
        with contextlib.suppress(NotADirectoryError):
            if Path(folder).exists():
                private_folder(Path(folder))


def test_a_link_does_not_hide_what_a_folder_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    monkeypatch.setenv("HOME", str(home))
    (tmp_path / "var").symlink_to(home)
    private_folder(tmp_path / "var")
    assert mode(home) == 0o755


def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NotADirectoryError):
            private_folder(path)


def test_a_new_database_and_the_files_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "var" / "x" / "x.db"
    database = CoreDatabase(f"sqlite:///{file}")
    with database.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a)")
    found = {path.name: mode(path) for path in file.parent.iterdir()}
    assert found == {"x.db": 0o600, "x.db-wal": 0o600, "x.db-shm": 0o600}
    assert mode(file.parent) == 0o700
    database.dispose()


def test_an_old_database_is_closed_with_the_files_beside_it(tmp_path: Path) -> None:
    """As an earlier version left it, with a writer still at work."""
    folder = tmp_path / "x"
    folder.mkdir()
    file = folder / "x.db"
    with contextlib.closing(sqlite3.connect(file)) as before:
        before.execute("PRAGMA journal_mode=WAL")
        before.execute("CREATE TABLE t (a)")
        before.commit()
        for path in (folder, *folder.iterdir()):
            path.chmod(0o755 if path.is_dir() else 0o644)
        database = CoreDatabase(f"sqlite:///{file}")
        with database.transaction() as connection:
            connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        assert {path.name: mode(path) for path in folder.iterdir()} == {"x.db": 0o600, "x.db-wal": 0o600, "x.db-shm": 0o600}
        assert mode(folder) == 0o700
        database.dispose()


def test_closing_a_database_takes_away_no_lock(tmp_path: Path) -> None:
    """A descriptor that is closed would end the locks of every connection in this process."""
    file = tmp_path / "x.db"
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("CREATE TABLE t (a)")
        holder.execute("BEGIN EXCLUSIVE")
        close_database(file)
        other = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('INSERT INTO t VALUES (1)')"
        done = subprocess.run([sys.executable, "-c", other, str(file)], capture_output=True, text=True, check=False)
    assert "database is locked" in done.stderr


@pytest.mark.parametrize("content", [b"root:x:0:0:\n", b"short" * 10_000, b"SQLite format 2"])
def test_a_file_that_is_no_database_is_left_as_it_is(content: bytes, tmp_path: Path) -> None:
    """The setting may name anything; the super-user's service could close /etc/passwd to everybody."""
    file = tmp_path / "passwd"
    file.write_bytes(content)
    file.chmod(0o644)
    database = CoreDatabase(f"sqlite:///{file}")
    with pytest.raises(DatabaseError, match="file is not a database"):
        database.revision()
    assert (mode(file), file.read_bytes()) == (0o644, content)
    assert os.listdir(tmp_path) == ["passwd"]
    assert holds_something_else(file)


def test_an_empty_file_becomes_a_private_database(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    file.touch(0o644)
    assert not holds_something_else(file)
    database = CoreDatabase(f"sqlite:///{file}")
    with database.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a)")
    database.dispose()
    assert mode(file) == 0o600
    assert not holds_something_else(file)


def test_what_sqlite_calls_a_uri_is_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database = CoreDatabase("sqlite:///file:x.db?mode=rwc&uri=true")
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    database.dispose()
    assert [path.name for path in tmp_path.iterdir()] == ["x.db"]


def test_a_log(tmp_path: Path) -> None:
    new, old = tmp_path / "log" / "a.log", tmp_path / "log" / "b.log"
    os.close(open_log(new))
    old.write_text("earlier\n")
    old.chmod(0o666)
    descriptor = open_log(old)
    os.write(descriptor, b"later\n")
    os.close(descriptor)
    assert old.read_text() == "earlier\nlater\n"
    assert (mode(new), mode(old), mode(new.parent)) == (0o640, 0o640, 0o700)


def test_a_log_leaves_an_operator_s_folder_and_a_device_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log").chmod(0o750)
    os.close(open_log(tmp_path / "log" / "a.log"))
    before = mode(Path("/dev/null"))
    os.close(open_log(Path("/dev/null")))
    assert (mode(tmp_path / "log"), mode(Path("/dev/null"))) == (0o750, before)
