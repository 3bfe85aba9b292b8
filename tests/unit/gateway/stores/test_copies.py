"""The copy of the definitions: private, whole or not at all, and refused when anything about it is not as it should be."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import stat
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.common.core_database import CoreDatabase
from services.gateway.live import Loaded, Snapshot
from services.gateway.stores import copies
from services.gateway.stores.copies import CopyKeeper, CopyUnusable, DefinitionCopy, copy_path
from services.gateway.stores.definition_model import StoredDefinition
from tests.support.waiting import wait_until


def stored(id: str, **raw: Any) -> StoredDefinition:
    return StoredDefinition(f"i-{id}", id, 3, {"name": id, **raw})


SET = [stored("b", note="line\nend  \x00 ü"), stored("a")]


@pytest.fixture
def database(tmp_path: Path) -> CoreDatabase:
    return CoreDatabase(f"sqlite:///{tmp_path}/folder/gateway.db")


@pytest.fixture
def copy(database: CoreDatabase, tmp_path: Path) -> DefinitionCopy:
    path = copy_path(database, tmp_path / "elsewhere")
    assert path == tmp_path / "folder" / "gateway.db.definitions"
    return DefinitionCopy(database, path)


def test_what_was_written_is_read(copy: DefinitionCopy) -> None:
    assert copy.read() is None
    assert copy.write(SET, 7)
    found = copy.read()
    assert found is not None
    assert (found.definitions, found.generation) == ([SET[1], SET[0]], 7)
    assert stat.S_IMODE(copy.path.stat().st_mode) == 0o600


def test_an_empty_set_is_a_set(copy: DefinitionCopy) -> None:
    copy.write([], 1)
    found = copy.read()
    assert found is not None and found.definitions == []


def test_what_has_not_changed_is_not_written_again(copy: DefinitionCopy) -> None:
    copy.write(SET, 7)
    before = copy.path.stat().st_ino
    assert not copy.write(list(reversed(SET)), 7)
    assert copy.path.stat().st_ino == before
    assert copy.write(SET, 8) and copy.write(SET[:1], 8)
    assert os.listdir(copy.path.parent) == [copy.path.name]


def test_writing_and_comparing_lets_requests_have_their_turn(copy: DefinitionCopy, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(copies.time, "sleep", pauses.append)
    many = [stored(str(number)) for number in range(5 * copies._BITE)]
    assert copy.write(many, 7)
    assert len(pauses) == 5
    assert not copy.write(many, 7)
    assert len(pauses) == 15


def test_comparing_takes_no_memory_for_all_of_them(copy: DefinitionCopy) -> None:
    many = [stored(str(number), note="x" * 10_000) for number in range(100)]
    assert copy.write(many, 7)
    tracemalloc.start()
    try:
        assert not copy.write(many, 7)
        assert tracemalloc.get_traced_memory()[1] < copy.path.stat().st_size / 2
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-3],
        lambda data: data.replace(b'"revision": 3', b'"revision": 4', 1),
        lambda data: data.replace(b'"generation": 7', b'"generation": 8'),
        lambda data: data[data.index(b"\n") + 1 :],
        lambda data: data + data,
        lambda data: b"\x00" * len(data),
    ],
    ids=["empty", "half", "without its end", "a definition", "the generation", "a line less", "twice", "zeros"],
)
def test_a_damaged_copy_is_refused_and_written_again(copy: DefinitionCopy, damage: Callable[[bytes], bytes]) -> None:
    copy.write(SET, 7)
    copy.path.write_bytes(damage(copy.path.read_bytes()))
    with pytest.raises(CopyUnusable, match="damaged"):
        copy.read()
    assert copy.write(SET, 7)
    assert copy.read() is not None


@pytest.mark.parametrize("name", ["format", "database", "migration"])
def test_a_copy_of_something_else_is_refused(copy: DefinitionCopy, name: str) -> None:
    copy.write(SET, 7)
    *lines, told, _ = copy.path.read_text().splitlines()
    text = "\n".join([*lines, json.dumps({**json.loads(told), name: "another"})]) + "\n"
    copy.path.write_text(text + hashlib.sha256(text.encode()).hexdigest() + "\n")
    with pytest.raises(CopyUnusable, match=f"of another {name}"):
        copy.read()


def test_the_copy_of_another_server_is_refused_and_a_changed_password_does_no_harm(tmp_path: Path) -> None:
    def of(url: str) -> DefinitionCopy:
        database = CoreDatabase(url)
        path = copy_path(database, tmp_path)
        assert path == tmp_path / "gateway.db.definitions"
        return DefinitionCopy(database, path)

    of("postgresql://gateway:hunter2@db.invalid/gateway").write(SET, 7)
    assert "hunter2" not in (tmp_path / "gateway.db.definitions").read_text()
    assert of("postgresql://gateway:another@db.invalid/gateway").read() is not None
    with pytest.raises(CopyUnusable, match="of another database"):
        of("postgresql://gateway:hunter2@db.invalid/other").read()


def test_a_copy_that_cannot_be_finished_leaves_the_one_before(copy: DefinitionCopy) -> None:
    copy.write(SET, 7)

    def broken_off() -> Iterator[StoredDefinition]:
        yield SET[0]
        yield stored("c", what=object())

    with pytest.raises(TypeError):
        copy.write(broken_off(), 8)
    found = copy.read()
    assert found is not None and found.generation == 7
    assert os.listdir(copy.path.parent) == [copy.path.name]


def test_a_copy_that_is_killed_in_the_middle_leaves_the_one_before(copy: DefinitionCopy, monkeypatch: pytest.MonkeyPatch) -> None:
    copy.write(SET, 7)
    seen: list[int] = []

    def replaced(draft: Path, path: Path) -> None:
        found = copy.read()  # the draft is whole, on the disk, and not the copy yet
        assert found is not None
        seen.append(found.generation)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replaced)
    with pytest.raises(KeyboardInterrupt):
        copy.write(SET, 8)
    assert seen == [7]


def test_one_thread_copies_what_has_changed_and_the_rest_at_the_end(copy: DefinitionCopy, monkeypatch: pytest.MonkeyPatch) -> None:
    def served(number: int) -> Snapshot:
        return Snapshot(number, number, loaded={one.id: Loaded(one, "served", None) for one in SET})

    written: list[tuple[int, str]] = []
    write, failing = copy.write, [OSError(28, "No space left on device")]

    def noted(definitions: Any, generation: int) -> bool:
        if failing:
            raise failing.pop()
        written.append((generation, threading.current_thread().name))
        return write(definitions, generation)

    monkeypatch.setattr(copy, "write", noted)
    monkeypatch.setattr(copies, "_LOOK_S", 0.001)
    monkeypatch.setattr(copies, "_AFTER_A_FAILURE_S", 0.001)
    current = [Snapshot()]
    keeper = CopyKeeper(copy, lambda: current[0])
    keeper.start()
    current[0] = served(1)
    wait_until(lambda: written, 30, "a copy")
    monkeypatch.setattr(copies, "_LOOK_S", 600.0)
    current[0] = served(2)
    asyncio.run(keeper.stop())
    assert sorted(set(written)) == [(1, "definitions-copy"), (2, "definitions-copy")]
    assert len(written) == 2


def test_a_keeper_that_was_not_started_is_stopped(copy: DefinitionCopy) -> None:
    asyncio.run(CopyKeeper(copy, Snapshot).stop())
    assert not copy.path.exists()
