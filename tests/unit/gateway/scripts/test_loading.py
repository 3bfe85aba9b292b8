"""What is found when a definition with scripts is saved: files, syntax, names; and when a file is another one."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from services.gateway.definitions.model import ScriptKind
from services.gateway.definitions.reader import Mistakes
from services.gateway.scripts.scripts import Running, Scripts
from tests.unit.gateway.exchanges import definition

GOOD = "var one = new TykJS.TykMiddleware.NewMiddleware({}); one.NewProcessRequest(function (r, s) { return one.ReturnData(r, {}) });"


def load(folder: Path, path: str = "a.js", name: str = "one", **more: Any) -> Running:
    found = definition(custom_middleware={"post": [{"name": name, "path": path}]}, **more).scripts
    assert found is not None
    return Scripts(folder).load(found)


def mistake(folder: Path, path: str = "a.js", name: str = "one") -> tuple[str, str]:
    with pytest.raises(Mistakes) as error:
        load(folder, path, name)
    [found] = error.value.mistakes
    return found.pointer.removeprefix("/custom_middleware/post/0/"), found.message


@pytest.mark.parametrize("path", ["a.js", "./a.js", "/a.js", "middleware/a.js", "./middleware/a.js"])
def test_paths_of_one_file(folder: Path, path: str) -> None:
    (folder / "a.js").write_text(GOOD)
    load(folder, path)


@pytest.mark.parametrize("path", ["../secret.js", "/../secret.js", "sub/../../secret.js", "link.js", "linked/secret.js"])
def test_no_path_leads_out_of_the_folder(folder: Path, path: str) -> None:
    (folder.parent / "secret.js").write_text(GOOD)
    (folder / "link.js").symlink_to(folder.parent / "secret.js")
    (folder / "linked").symlink_to(folder.parent)
    assert mistake(folder, path)[0] == "path"


def test_a_file_that_is_not_there(folder: Path) -> None:
    where, said = mistake(folder)
    assert (where, "no such file" in said) == ("path", True)
    (folder / "a.js").mkdir()
    assert mistake(folder)[0] == "path"


def test_a_file_that_is_too_large_or_no_text(folder: Path) -> None:
    (folder / "a.js").write_bytes(b"\xff")
    assert "UTF-8" in mistake(folder)[1]
    (folder / "a.js").write_text(" " * 300_000)
    assert "larger" in mistake(folder)[1]
    (folder / "a.js").write_text(GOOD + "// \0")
    assert "NUL" in mistake(folder)[1]


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "a.js")
    assert "not a file" in mistake(folder)[1]


def test_a_file_that_does_while_it_is_loaded_what_may_take_long(folder: Path) -> None:
    """It runs beside the loop, and is no mistake."""
    (folder / "a.js").write_text(f"var known = /^(ab|c)+$/.test('{'ab' * 50}');" + GOOD)
    load(folder)


def test_a_syntax_error_has_line_and_column(folder: Path) -> None:
    (folder / "a.js").write_text(GOOD + "\nvar a = ;")
    where, said = mistake(folder)
    assert where == "path"
    assert "a.js: SyntaxError" in said
    assert "line 2, column 9" in said


@pytest.mark.parametrize("name", ["two", "one.x", "TykJS", "undefined"])
def test_a_name_that_is_no_middleware(folder: Path, name: str) -> None:
    (folder / "a.js").write_text(GOOD)
    assert mistake(folder, name=name)[0] == "name"


def test_a_file_that_fails_or_does_not_end_while_it_is_loaded(folder: Path) -> None:
    (folder / "a.js").write_text("undefined.x")
    assert "TypeError" in mistake(folder)[1]
    (folder / "a.js").write_text("while (true) {}")
    assert "interrupted" in mistake(folder)[1]


@pytest.mark.parametrize("kind", ["post", "virtual"])
def test_a_script_that_shall_get_the_session_is_not_the_same_one(folder: Path, kind: ScriptKind) -> None:
    (folder / "a.js").write_text(GOOD + "function answer() {}")
    scripts, kept = Scripts(folder), []
    for asks in (False, True, False):
        hook = {"name": "one", "path": "a.js", "require_session": asks}
        virtual = {"path": "/", "method": "GET", "response_function_name": "answer", "function_source_uri": "a.js", "use_session": asks}
        given: dict[str, Any] = {
            "post": {"custom_middleware": {"post": [hook]}},
            "virtual": {"version": {"use_extended_paths": True, "extended_paths": {"virtual": [virtual]}}},
        }
        found = definition(**given[kind]).scripts
        running = scripts.load(found)
        assert running is not None
        kept.append(running)
        assert [script.with_session for script in running.of(kind)] == [asks]
        assert running.place(found.scripts[0]) == 0
    assert kept[0] is kept[2]


def test_the_same_scripts_are_loaded_once_and_a_change_is_seen(folder: Path) -> None:
    (folder / "a.js").write_text(GOOD)
    found = definition(custom_middleware={"post": [{"name": "one", "path": "a.js"}]}).scripts
    assert found is not None
    scripts = Scripts(folder)
    running = scripts.load(found)
    assert scripts.load(found) is running
    assert not any(file.has_changed() for file in running.files)
    (folder / "a.js").write_text(GOOD + " ")
    assert any(file.has_changed() for file in running.files)
    assert scripts.load(found) is not running


@pytest.mark.parametrize("driver", ["", "otto", "goja", "javascript", "Otto"])
def test_a_source_that_the_definition_holds(folder: Path, driver: str) -> None:
    """It needs no file, and outranks one."""
    code = base64.b64encode(GOOD.encode()).decode()
    hooks = {"driver": driver, "post": [{"name": "one", "code": code, "path": "none.js"}]}
    running = Scripts(folder).load(definition(custom_middleware=hooks).scripts)
    assert running is not None
    assert [script.name for script in running.of("post")] == ["one"]
    hooks["post"] = [{"name": "one", "code": "no base64"}]
    with pytest.raises(Mistakes) as error:
        Scripts(folder).load(definition(custom_middleware=hooks).scripts)
    assert [one.pointer for one in error.value.mistakes] == ["/custom_middleware/post/0/code"]


def test_a_script_that_is_listed_twice_runs_twice(folder: Path) -> None:
    (folder / "a.js").write_text(GOOD)
    running = Scripts(folder).load(definition(custom_middleware={"post": [{"name": "one", "path": "a.js"}] * 2}).scripts)
    assert running is not None
    assert len(running.of("post")) == 2
