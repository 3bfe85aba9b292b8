"""Secrets and other private files: whole or not at all, and their owner's alone from the first moment."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.common.secret_file import secret_file, write_private, write_secret


@pytest.fixture(autouse=True, params=[0o022, 0o000], ids=["umask 022", "umask 000"])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_is_made_once_however_many_start(tmp_path: Path) -> None:
    path = tmp_path / "var" / "some.key"
    made = iter(range(100))
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(secret_file(path, lambda: f"key-{next(made)}"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {path.read_text().strip()}
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert list(path.parent.iterdir()) == [path]


def test_a_secret_that_was_open_is_closed_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "some.key"
    path.write_text("kept\n")
    path.chmod(0o644)
    assert secret_file(path, lambda: "new") == "kept"
    assert mode(path) == 0o600


def test_a_secret_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "clients"
    path.write_text("a=1")
    path.chmod(0o666)
    write_secret(path, "a=2")
    assert (path.read_text(), mode(path)) == ("a=2\n", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_is_full_leaves_no_half_of_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for write in (lambda: secret_file(tmp_path / "a.key", lambda: "x"), lambda: write_secret(tmp_path / "b", "x")):
        with pytest.raises(OSError, match="No space left"):
            write()
    assert not list(tmp_path.iterdir())


def test_a_draft_of_a_writer_that_was_killed_goes_with_the_next_one(tmp_path: Path) -> None:
    """One that somebody is writing just now stays, and so does what only has a name like it."""
    path = tmp_path / "x.copy"
    killed, other = tmp_path / f".x.copy.{'0' * 16}", tmp_path / ".x.copy.bak"
    killed.touch()
    other.touch()
    going, go_on = threading.Event(), threading.Event()

    def lines() -> Iterator[str]:
        yield "slow"
        going.set()
        go_on.wait(30)

    slow = threading.Thread(target=write_secret, args=(path, lines()), daemon=True)
    slow.start()
    assert going.wait(30)
    write_secret(path, "quick")
    assert path.read_text() == "quick\n"
    assert not killed.exists()
    go_on.set()
    slow.join(30)
    assert path.read_text() == "slow\n"
    assert sorted(os.listdir(tmp_path)) == [other.name, path.name]


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "png" / "a.png"
    write_private(path, b"one")
    write_private(path, b"two")
    assert (path.read_bytes(), mode(path), mode(path.parent)) == (b"two", 0o600, 0o700)
    assert list(path.parent.iterdir()) == [path]


def test_a_private_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        write_private(tmp_path / "a.png", b"one")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
