"""Scripts that are found by their folder: where, in which order, and what is wrong there; a file that comes or goes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from errno import EMFILE
from pathlib import Path
from typing import Any

import pytest

from services.gateway.compiler import compile_api
from services.gateway.definitions.model import ScriptKind
from services.gateway.definitions.reader import Mistakes
from services.gateway.live import Live
from services.gateway.scripts.scripts import Scripts
from tests.unit.gateway.exchanges import definition, document, ports

MIDDLEWARE = "var %s = new TykJS.TykMiddleware.NewMiddleware({}); %s.NewProcessRequest(function (r, s) { return %s.ReturnData(r, {}) });"
LISTED = {"name": "listed", "path": "listed.js"}
CHECK = {"custom_plugin_auth_enabled": True}


def put(folder: Path, *paths: str) -> None:
    for path in ("listed.js", *paths):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        name = path.rpartition("/")[2].partition(".")[0]
        (folder / path).write_text(MIDDLEWARE % (name, name, name))


def names(folder: Path, kind: ScriptKind, **more: Any) -> list[str]:
    running = Scripts(folder).load(definition(**more).scripts)
    return [] if running is None else [script.name for script in running.of(kind)]


def wrong(folder: Path, **more: Any) -> list[tuple[str, str]]:
    with pytest.raises(Mistakes) as error:
        Scripts(folder).load(definition(**more).scripts)
    return [tuple(one) for one in error.value.mistakes]  # type: ignore[misc]


def test_without_folders_there_is_nothing(folder: Path) -> None:
    assert Scripts(folder).load(definition().scripts) is None
    put(folder, "other/pre/a.js")
    assert Scripts(folder).load(definition().scripts) is None


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("pre", "pre", ["listed", "a", "b"]),
        ("post", "post", ["listed", "a", "b"]),
        ("post_auth", "post_key_auth", ["a", "b", "listed"]),
    ],
)
def test_the_order_is_that_of_tyk(folder: Path, name: str, kind: ScriptKind, expected: Sequence[str]) -> None:
    put(folder, f"api/{name}/b.js", f"api/{name}/a.x.js", f"api/{name}/.c.js", f"api/{name}/d.txt", f"api/{name}/e/f.js")
    assert names(folder, kind, custom_middleware={kind: [LISTED]}) == expected
    assert names(folder, kind) == [one for one in expected if one != "listed"]


def test_a_name_says_whether_it_gets_the_session(folder: Path) -> None:
    put(folder, "api/post/a_with_session.js", "api/post/b.js")
    running = Scripts(folder).load(definition().scripts)
    assert running is not None
    assert [script.with_session for script in running.of("post")] == [True, False]


def test_who_calls(folder: Path) -> None:
    put(folder, "api/auth/a.js")
    assert names(folder, "auth_check", **CHECK) == ["a"]
    [(pointer, message)] = wrong(folder)
    assert (pointer, "`api/auth/a.js`" in message, "custom_plugin_auth_enabled" in message) == ("/custom_middleware/auth_check", True, True)
    assert wrong(folder, use_keyless=True, **CHECK)[0][0] == "/custom_middleware/auth_check"
    put(folder, "api/auth/b.js")
    assert "only one script" in wrong(folder, **CHECK)[0][1]


def test_what_is_wrong_in_a_file_has_its_name(folder: Path) -> None:
    put(folder, "api/pre/a.js")
    (folder / "api/pre/a.js").write_text("var a = ;")
    [(pointer, message)] = wrong(folder)
    assert (pointer, message.startswith("api/pre/a.js: SyntaxError")) == ("/custom_middleware/pre", True)
    (folder / "api/pre/a.js").write_text("var b = 5")
    assert "no global `a`" in wrong(folder)[0][1]
    (folder / "api/pre/a.js").write_text(" " * 300_000)
    assert "larger" in wrong(folder)[0][1]


def test_a_name_is_never_evaluated(folder: Path) -> None:
    put(folder, "api/pre/x.js")
    (folder / "api/pre/a;throw 5.js").write_text("")
    [(pointer, message)] = wrong(folder)
    assert (pointer, "is not that of a global" in message) == ("/custom_middleware/pre", True)


def test_a_link_does_not_lead_out(folder: Path) -> None:
    put(folder.parent / "outside", "pre/a.js")
    (folder / "api").symlink_to(folder.parent / "outside")
    assert "leads out" in wrong(folder)[0][1]


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder, "api/pre/a.js")
    live = Live(Source(), replace(ports(), scripts=Scripts(folder)))

    def fail(path: object) -> None:
        raise OSError(EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", fail)
        assert "too many open files" in wrong(folder)[0][1]
        assert "api" in live.reload().broken
    assert "api" in live.reload().apis


def test_files_of_another_language_are_not_left_out_silently(folder: Path) -> None:
    put(folder, "api/pre/a.js")
    assert wrong(folder, custom_middleware={"driver": "python"})[0][0] == "/custom_middleware/driver"


def test_they_are_in_the_chain(folder: Path) -> None:
    put(folder, "api/pre/a.js", "api/post/b.js", "api/post_auth/c.js", "api/auth/d.js")
    outside = replace(ports(), scripts=Scripts(folder))
    plain = compile_api(definition(api_id="plain"), outside, 1)
    found = compile_api(definition(**CHECK), outside, 1)
    assert len(found.open_stages) - len(plain.open_stages) == 1
    assert len(found.closing_stages) - len(plain.closing_stages) == 2  # one of three is in place of the keys' own


class Stored:
    def __init__(self, **more: Any) -> None:
        self.id, self.api_id, self.revision, self.raw = "i", "api", 1, document(**more)


class Source:
    def generation(self) -> int:
        return 1

    def all(self) -> list[Stored]:
        return [Stored()]

    def changed_since(self, generation: int) -> None:
        return None


def test_a_reload_sees_a_file_that_comes_changes_and_goes(folder: Path) -> None:
    live = Live(Source(), replace(ports(), scripts=Scripts(folder)))

    def loaded() -> list[str]:
        running = live.reload().apis["api"].scripts
        return [] if running is None else [script.name for script in running.of("pre")]

    assert loaded() == []
    put(folder, "api/pre/a.js")
    assert loaded() == ["a"]
    before = live.current.apis["api"]
    assert live.reload().apis["api"] is before
    put(folder, "api/pre/b.js")
    assert loaded() == ["a", "b"]
    (folder / "api/pre/a.js").unlink()
    assert loaded() == ["b"]
    (folder / "api/pre/b.js").unlink()
    assert loaded() == []
