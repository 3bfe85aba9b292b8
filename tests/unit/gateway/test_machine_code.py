"""When the gateway loads a build of its data plane, and when it does not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.gateway import machine_code
from services.gateway.machine_code import Found, Unusable

SOURCES = ("services.gateway.one", "services.gateway.two")
Change = Callable[[Path, dict[str, Any]], object]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree with two sources, one that is compiled and one that it imports, and a build of them."""
    monkeypatch.setattr(machine_code, "ROOT", tmp_path)
    monkeypatch.setattr(machine_code, "FOLDER", tmp_path / "build")
    monkeypatch.setattr(machine_code, "_found", None)
    (tmp_path / "build").mkdir()
    for name in SOURCES:
        source = machine_code.source_of(name)
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(f"name = {name!r}\n")
    one, two = SOURCES
    library = tmp_path / "build" / "gateway.so"
    library.write_bytes(b"not a library")
    write(tmp_path, {
        "library": library.name,
        "content": machine_code.digest(library),
        "python": sys.version,
        "modules": {one: machine_code.digest(machine_code.source_of(one))},
        "imports": {two: machine_code.digest(machine_code.source_of(two))},
    })  # fmt: skip
    return tmp_path


def write(place: Path, manifest: dict[str, Any]) -> None:
    (place / "build" / machine_code.MANIFEST).write_text(json.dumps(manifest))


def manifest_of(place: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / "build" / machine_code.MANIFEST).read_text())
    return found


def change_source(number: int) -> Change:
    def change(place: Path, manifest: dict[str, Any]) -> None:
        machine_code.source_of(SOURCES[number]).write_text("changed = 1\n")

    return change


def test_a_build_of_these_sources_is_used(place: Path) -> None:
    assert machine_code.read(place / "build") == (place / "build" / "gateway.so", [SOURCES[0]])
    assert machine_code.chosen({}) == Found(True)
    assert machine_code.chosen({}).data_plane == "compiled"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (change_source(0), "services.gateway.one has changed"),
        (change_source(1), "services.gateway.two has changed"),
        (lambda place, manifest: machine_code.source_of(SOURCES[0]).unlink(), "services.gateway.one has changed"),
        (lambda place, manifest: write(place, manifest | {"python": "2.7 (somewhere)"}), "another Python: 2.7"),
        (lambda place, manifest: (place / "build" / machine_code.MANIFEST).write_text("{"), "cannot be read"),
        (lambda place, manifest: write(place, {}), "cannot be read"),
        (lambda place, manifest: write(place, manifest | {"modules": None}), "cannot be read"),
        (lambda place, manifest: (place / "build" / machine_code.MANIFEST).unlink(), "is not compiled"),
        (lambda place, manifest: (place / "build" / "gateway.so").write_bytes(b"not a"), "not the one that was built"),
        (lambda place, manifest: (place / "build" / "gateway.so").unlink(), "not the one that was built"),
    ],
    ids=[
        "compiled source",
        "imported source",
        "source that is gone",
        "other Python",
        "broken manifest",
        "empty manifest",
        "manifest of another form",
        "no manifest",
        "half a library",
        "no library",
    ],
)
def test_any_other_build_is_not_used(place: Path, change: Change, why: str) -> None:
    change(place, manifest_of(place))
    found = machine_code.install({})
    assert (found.compiled, found.data_plane) == (False, "interpreted")
    assert why in found.why
    assert machine_code.chosen({}) == found


@pytest.mark.parametrize("change", [change_source(0), change_source(1)], ids=["compiled source", "imported source"])
def test_who_demands_a_build_gets_no_other(place: Path, change: Change) -> None:
    change(place, manifest_of(place))
    with pytest.raises(Unusable, match="has changed"):
        machine_code.install({"GATEWAY_COMPILED": "1"})


def test_a_library_that_cannot_be_loaded_is_not_used(place: Path) -> None:
    finders = list(sys.meta_path)
    assert "cannot be loaded" in machine_code.install({}).why
    assert sys.meta_path == finders
    assert machine_code.running().data_plane == "interpreted"


def test_a_build_that_may_not_be_looked_for_is_not_used(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setattr(Path, "exists", refuse)
    assert "Permission denied" in machine_code.install({}).why


def test_who_wants_the_sources_gets_them(place: Path) -> None:
    assert machine_code.install({"GATEWAY_COMPILED": "0"}) == machine_code.chosen({"GATEWAY_COMPILED": "0"}) == Found(False)


def test_without_a_build_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_code, "FOLDER", tmp_path / "build")
    monkeypatch.setattr(machine_code, "_found", None)
    assert machine_code.install({}) == Found(False)
    monkeypatch.setattr(machine_code, "_found", None)
    with pytest.raises(Unusable, match=r"\./dev build"):
        machine_code.install({"GATEWAY_COMPILED": "1"})


def test_what_was_imported_before_is_not_replaced(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, SOURCES[0], machine_code)
    assert machine_code.install({}).why == f"{SOURCES[0]} was imported before"


def test_a_decision_is_made_once(place: Path) -> None:
    """gunicorn reads its settings again at a HUP, and what is loaded stays."""
    assert machine_code.install({"GATEWAY_COMPILED": "0"}) == machine_code.install({"GATEWAY_COMPILED": "1"})
