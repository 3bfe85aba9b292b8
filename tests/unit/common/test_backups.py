"""A copy of an SQLite database is of one moment, checked and private, and is put back wholly or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from services.common import backups
from services.common.backups import Unusable, back_up, database_file, restore
from services.common.core_database import CoreDatabase


@pytest.fixture(autouse=True)
def _migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "known_revisions", lambda _: ["0001"])


def make(file: Path, *values: int, revision: str = "0001") -> None:
    """A database of a service, in the mode that services use."""
    database = CoreDatabase(f"sqlite:///{file}")
    with database.transaction() as connection:
        for statement in ("CREATE TABLE things (a INT, b INT)", "CREATE TABLE alembic_version (version_num TEXT)"):
            connection.execute(sa.text(statement))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision})
        for value in values:
            connection.execute(sa.text("INSERT INTO things VALUES (:value, :value)"), {"value": value})
    database.dispose()


def things(file: Path) -> list[int]:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return [row[0] for row in connection.execute("SELECT a FROM things ORDER BY a")]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_backup_under_writes_is_of_one_moment(tmp_path: Path) -> None:
    file = tmp_path / "data" / "tokens.db"
    make(file, 1)
    database = CoreDatabase(f"sqlite:///{file}")
    end, wrote = threading.Event(), threading.Event()

    def write() -> None:
        value = 2
        while not end.is_set():
            with database.transaction() as connection:  # both or none
                connection.execute(sa.text("INSERT INTO things VALUES (:value, 0)"), {"value": value})
                connection.execute(sa.text("UPDATE things SET b = a"))
            value += 1
            wrote.set()

    writer = threading.Thread(target=write)
    writer.start()
    wrote.wait(30)
    try:
        for number in range(5):
            copy = tmp_path / "copies" / f"{number}.db"
            assert back_up("tokens", file, copy) == "0001"
            with contextlib.closing(sqlite3.connect(copy)) as connection:
                rows = connection.execute("SELECT a, b FROM things").fetchall()
            assert len(rows) >= 2
            assert [row for row in rows if row[0] != row[1]] == []
    finally:
        end.set()
        writer.join()
        database.dispose()
    assert names(tmp_path / "copies") == {f"{number}.db" for number in range(5)}
    assert stat.S_IMODE((tmp_path / "copies").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "copies").iterdir()} == {0o600}


def test_a_copy_holds_what_is_in_the_log_only(tmp_path: Path) -> None:
    file = tmp_path / "tokens.db"
    make(file)
    database = CoreDatabase(f"sqlite:///{file}")
    with database.transaction() as connection:
        connection.execute(sa.text("INSERT INTO things VALUES (7, 7)"))
    assert (tmp_path / "tokens.db-wal").stat().st_size > 0
    back_up("tokens", file, tmp_path / "copy.db")
    database.dispose()
    assert things(tmp_path / "copy.db") == [7]


def test_a_damaged_database_is_told_and_the_former_copy_stays(tmp_path: Path) -> None:
    file, copy = tmp_path / "tokens.db", tmp_path / "copies" / "tokens.db"
    make(file, *range(2000))
    back_up("tokens", file, copy)
    before = copy.read_bytes()
    content = bytearray(file.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    file.write_bytes(content)
    with pytest.raises(Unusable, match=r"tokens.db (is damaged|cannot be copied)"):
        back_up("tokens", file, copy)
    assert copy.read_bytes() == before
    assert names(copy.parent) == {"tokens.db"}
    copy.write_bytes(content)
    make(tmp_path / "whole.db", 1)
    with pytest.raises(Unusable, match=r"tokens.db (is damaged|cannot be read)"):
        restore("tokens", copy, tmp_path / "whole.db")
    assert things(tmp_path / "whole.db") == [1]


def test_a_restore_replaces_all_and_creates_what_is_not_there(tmp_path: Path) -> None:
    file, copy, new = tmp_path / "tokens.db", tmp_path / "copy.db", tmp_path / "new" / "tokens.db"
    make(file, 1, 2)
    back_up("tokens", file, copy)
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.executescript("DELETE FROM things; CREATE TABLE later (a INT)")
    assert restore("tokens", copy, file) == "0001"
    assert restore("tokens", copy, new) == "0001"
    for restored in (file, new):
        assert things(restored) == [1, 2]
        with contextlib.closing(sqlite3.connect(restored)) as connection:
            assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'later'").fetchone() == (0,)
        assert stat.S_IMODE(restored.stat().st_mode) == 0o600
    assert stat.S_IMODE(new.parent.stat().st_mode) == 0o700
    assert names(new.parent) == {"tokens.db"}


def test_a_restore_beside_a_running_service_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even while that does nothing: it would go on with what it knows of the former content."""
    monkeypatch.setattr(backups, "_BUSY_S", 0.05)
    file, copy = tmp_path / "tokens.db", tmp_path / "copy.db"
    make(file, 1)
    back_up("tokens", file, copy)
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM things'); print('open', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "open\n"
        with pytest.raises(Unusable, match=r"a process uses .*tokens.db; stop the service first"):
            restore("tokens", copy, file)
        other.communicate("\n")
    assert restore("tokens", copy, file) == "0001"


def test_a_database_is_not_copied_over_itself(tmp_path: Path) -> None:
    """Its service would go on writing to a file that has no name any more."""
    file, other = tmp_path / "tokens.db", tmp_path / "other.db"
    make(file, 1)
    other.symlink_to(file)
    before = file.stat().st_ino
    for name in (file, other):
        with pytest.raises(Unusable, match="is the database itself; name another file"):
            back_up("tokens", file, name)
    assert file.stat().st_ino == before


def test_what_a_killed_backup_has_left_is_removed(tmp_path: Path) -> None:
    """Its drafts are as large as the database. That of a backup at work stays."""
    file, folder = tmp_path / "tokens.db", tmp_path / "copies"
    make(file, 1)
    folder.mkdir()
    for name in (f".tokens.db.{'0' * 16}", f".tokens.db.{'0' * 16}-wal", f".tokens.db.{'1' * 16}", "other"):
        (folder / name).touch()
    with (folder / f".tokens.db.{'1' * 16}").open("ab") as at_work:
        fcntl.flock(at_work, fcntl.LOCK_EX)
        back_up("tokens", file, folder / "tokens.db")
    assert names(folder) == {"tokens.db", f".tokens.db.{'1' * 16}", "other"}


def test_nobody_waits_for_ever_for_who_holds_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "_BUSY_S", 0.05)
    file, copy = tmp_path / "tokens.db", tmp_path / "copy.db"
    make(file, 1)
    back_up("tokens", file, copy)
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('PRAGMA journal_mode=DELETE')"
    for lock, work in (("EXCLUSIVE", lambda: back_up("tokens", file, tmp_path / "2.db")), ("", lambda: restore("tokens", copy, file))):
        hold = f"{code}; c.execute('BEGIN {lock}'); c.execute('SELECT * FROM things').fetchall(); print('held', flush=True); input()"
        with subprocess.Popen([sys.executable, "-c", hold, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None and other.stdout.readline() == "held\n"
            said: list[str] = []
            worker = threading.Thread(target=_note_reason, args=(work, said), daemon=True)
            worker.start()
            worker.join(30)
            other.communicate("\n")
        assert [one.rpartition(": ")[2] for one in said] == ["database is locked"]
    assert things(file) == [1]
    assert names(tmp_path) == {"tokens.db", "copy.db"}


def _note_reason(work: Callable[[], str], said: list[str]) -> None:
    with pytest.raises(Unusable) as refused:
        work()
    said.append(str(refused.value))


def test_what_is_not_a_backup_of_this_service_is_refused(tmp_path: Path) -> None:
    file, copy, target = tmp_path / "auth.db", tmp_path / "auth-copy.db", tmp_path / "tokens.db"
    make(file, 1)
    make(target, 5)
    back_up("auth", file, copy)
    with pytest.raises(Unusable, match="is the backup of another service"):
        restore("tokens", copy, target)
    assert restore("tokens", file, tmp_path / "unmarked.db") == "0001"  # a copy that another program made
    make(tmp_path / "newer.db", 1, revision="0002")
    with pytest.raises(Unusable, match="is at migration 0002, unknown to this version"):
        restore("tokens", tmp_path / "newer.db", target)
    (tmp_path / "text").write_text("no database at all")
    for wrong, said in (("text", "is not an SQLite database"), ("none", "there is no file")):
        with pytest.raises(Unusable, match=said):
            restore("tokens", tmp_path / wrong, target)
    with pytest.raises(Unusable, match=r"text is not an SQLite database; move it away"):
        restore("tokens", target, tmp_path / "text")
    with pytest.raises(Unusable, match="there is no database"):
        back_up("tokens", tmp_path / "none", copy)
    assert things(target) == [5]


def test_on_postgresql_its_own_programs_do_it() -> None:
    assert database_file("tokens", "sqlite:////a/b.db") == Path("/a/b.db")
    with pytest.raises(Unusable, match="use pg_dump and pg_restore") as refused:
        database_file("tokens", "postgresql://tokens:hunter2@localhost/tokens")
    assert "hunter2" not in str(refused.value)
