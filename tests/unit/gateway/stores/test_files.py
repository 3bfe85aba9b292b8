"""Definitions from a folder: as a seed, as the only truth, and with addresses of the environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.common.core_database import CoreDatabase
from services.gateway.compiler import interpret
from services.gateway.definitions.claims import Claim
from services.gateway.definitions.reader import Mistakes
from services.gateway.definitions.sources import read_folder
from services.gateway.stores.definition_model import ReadOnly
from services.gateway.stores.definitions import DefinitionStore
from services.gateway.stores.files import FileDefinitions, seed
from tests.support.log_lines import captured


def definition(api_id: str, path: str | None = None, target: str = "http://127.0.0.1:9/", **more: Any) -> dict[str, Any]:
    return {
        "api_id": api_id,
        "name": api_id,
        "active": True,
        "use_keyless": True,
        "version_data": {"not_versioned": True, "versions": {"Default": {"name": "Default"}}},
        "proxy": {"listen_path": path or f"/{api_id}/", "target_url": target},
        **more,
    }


def put(folder: Path, name: str, document: Any) -> None:
    (folder / name).write_text(document if isinstance(document, str) else json.dumps(document))


@pytest.fixture
def store(database: CoreDatabase) -> DefinitionStore:
    return DefinitionStore(database)


def test_the_folder_seeds_only_what_the_database_never_knew(store: DefinitionStore, tmp_path: Path) -> None:
    for api_id in ("a", "b", "c"):
        put(tmp_path, f"{api_id}.json", definition(api_id))
    assert seed(store, tmp_path) == []
    assert [one.api_id for one in store.all()] == ["a", "b", "c"]
    store.delete("a", who="ann")
    changed = {**definition("b", "/changed/"), "id": store.get("b").id}  # type: ignore[union-attr]
    store.update("b", changed, [], claim=Claim("/changed/", True), who="ann")
    put(tmp_path, "d.json", {"api_definition": definition("d"), "hook_references": []})
    assert seed(store, tmp_path) == []
    assert [one.api_id for one in store.all()] == ["b", "c", "d"]
    assert store.get("b").raw["proxy"]["listen_path"] == "/changed/"  # type: ignore[union-attr]
    assert store.revisions("c")[0].action == "seeded"


def test_files_that_are_wrong_stop_nothing(store: DefinitionStore, tmp_path: Path) -> None:
    put(tmp_path, "a.json", definition("a"))
    put(tmp_path, "b-broken.json", "{")
    put(tmp_path, "c-nameless.json", {"name": "x"})
    put(tmp_path, "d-again.json", definition("a", "/else/"))
    put(tmp_path, "e-invalid.json", definition("e", "no-slash"))
    put(tmp_path, "f-same-place.json", definition("f", "/a"))
    put(tmp_path, "g-unset.json", definition("g", target="env://UPSTREAM_UNSET/"))
    put(tmp_path, "h.json", definition("h"))
    wrong = {one.name: one.mistakes[0].pointer for one in seed(store, tmp_path)}
    assert wrong == {
        "b-broken.json": "",
        "c-nameless.json": "/api_id",
        "d-again.json": "/api_id",
        "e-invalid.json": "/proxy/listen_path",
        "f-same-place.json": "/proxy/listen_path",
        "g-unset.json": "/proxy/target_url",
    }
    assert [one.api_id for one in store.all()] == ["a", "h"]


def test_ids_are_the_same_on_every_machine(tmp_path: Path) -> None:
    put(tmp_path, "a.json", definition("a"))
    put(tmp_path, "b.json", definition("b", id="given"))
    first, second = read_folder(tmp_path)[0]
    assert (first.id, second.id) == ("ca978112ca1bbdcafac231b3", "given")


def test_the_examples_can_be_seeded(store: DefinitionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(__file__).parents[4] / "deploy" / "apis"
    for name in ("AUTH", "SESSIONS", "TOKENS", "DEVICES", "MOBILITY", "ECHO"):
        monkeypatch.setenv(f"UPSTREAM_{name}", "http://127.0.0.1:9")
    assert seed(store, folder) == []
    assert len(store.all()) == len(list(folder.glob("*.json")))


def test_files_as_the_only_truth(tmp_path: Path) -> None:
    put(tmp_path, "a.json", definition("a"))
    files = FileDefinitions(tmp_path)
    assert [one.api_id for one in files.all()] == ["a"]
    put(tmp_path, "b.json", definition("b"))
    assert files.get("b") is None, "only a reload reads again"
    files.all()
    assert files.get("b") is not None
    assert [one.api_id for one in files.page(query="/B/").items] == ["b"]
    assert files.page(1, 1).items[0].api_id == "b"
    assert files.known({"a", "x"}) == {"a": "a"}
    for write in (files.create, files.update, files.delete):
        with pytest.raises(ReadOnly):
            write("a")


def test_a_file_that_became_wrong_changes_nothing(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        put(tmp_path, f"{name}.json", definition(name))
    files = FileDefinitions(tmp_path)
    before = {one.api_id: one.raw for one in files.all()}
    put(tmp_path, "a.json", '{"half": ')
    put(tmp_path, "b.json", definition("b", "no-slash"))
    put(tmp_path, "c.json", definition("c", "/moved/"))
    after = {one.api_id: one.raw for one in files.all()}
    assert (after["a"], after["b"]) == (before["a"], before["b"])
    assert after["c"]["proxy"]["listen_path"] == "/moved/"
    assert {(one.name, one.mistakes[0].pointer) for one in files.mistakes} == {("a.json", ""), ("b.json", "/proxy/listen_path")}
    assert [one.api_id for one in files.all()] == ["a", "b", "c"], "nor when it is read once more"
    put(tmp_path, "a.json", definition("a", "/repaired/"))
    (tmp_path / "b.json").unlink()
    repaired = {one.api_id: one.raw["proxy"]["listen_path"] for one in files.all()}
    assert (repaired, files.mistakes) == ({"a": "/repaired/", "c": "/moved/"}, [])


def served(files: FileDefinitions) -> dict[str, str]:
    """api_id → listen path of what is served when the folder was read again."""
    return {one.api_id: one.raw["proxy"]["listen_path"] for one in files.all()}


def refused(files: FileDefinitions) -> dict[str, str]:
    return {one.name: one.mistakes[0].message for one in files.mistakes}


def test_of_two_files_for_one_place_the_owner_goes_on(tmp_path: Path) -> None:
    put(tmp_path, "m.json", definition("m", "/m"))
    put(tmp_path, "n.json", definition("n", "/n/"))
    files = FileDefinitions(tmp_path)
    files.all()
    put(tmp_path, "a.json", definition("a", "/m/"))
    assert served(files) == {"m": "/m", "n": "/n/"}
    assert refused(files) == {"a.json": "m.json already listens on /m/"}
    put(tmp_path, "n.json", definition("n", "/m/"))
    assert served(files) == {"m": "/m", "n": "/n/"}, "what moved onto it stays where it was"
    assert set(refused(files)) == {"a.json", "n.json"}
    put(tmp_path, "m.json", "{")
    assert served(files) == {"m": "/m", "n": "/n/"}, "and its owner keeps it when its file breaks"
    (tmp_path / "m.json").unlink()
    assert (served(files), refused(files)) == ({"a": "/m/", "n": "/n/"}, {"n.json": "a.json already listens on /m/"})
    put(tmp_path, "n.json", definition("n", "/m/", active=False))
    assert (served(files), refused(files)) == ({"a": "/m/", "n": "/m/"}, {})


def test_files_may_change_their_places_with_each_other(tmp_path: Path) -> None:
    put(tmp_path, "a.json", definition("a", "/a/"))
    put(tmp_path, "b.json", definition("b", "/b/"))
    files = FileDefinitions(tmp_path)
    files.all()
    put(tmp_path, "a.json", definition("a", "/b/"))
    put(tmp_path, "b.json", definition("b", "/a/"))
    assert (served(files), refused(files)) == ({"a": "/b/", "b": "/a/"}, {})
    put(tmp_path, "b.json", "{")
    put(tmp_path, "a.json", definition("a", "/a/"))
    assert served(files) == {"a": "/b/", "b": "/a/"}, "the place that was to become free did not"
    assert refused(files)["a.json"] == "b.json already listens on /a/"
    put(tmp_path, "b.json", definition("b", "/c/"))
    put(tmp_path, "0.json", definition("c", "/b/"))
    put(tmp_path, "d.json", definition("d", "/c/"))
    assert served(files) == {"a": "/a/", "b": "/c/", "c": "/b/"}
    assert refused(files) == {"d.json": "b.json already listens on /c/"}


def test_a_folder_that_is_gone_is_not_an_empty_one(tmp_path: Path) -> None:
    folder = tmp_path / "apis"
    folder.mkdir()
    put(folder, "a.json", definition("a"))
    files = FileDefinitions(folder)
    files.all()
    folder.rename(tmp_path / "elsewhere")
    assert served(files) == {"a": "/a/"}
    assert refused(files) == {str(folder): "the folder cannot be read: No such file or directory"}
    folder.mkdir()
    assert (served(files), refused(files)) == ({}, {}), "an empty one is"


def test_what_has_no_effect_is_logged(store: DefinitionStore, tmp_path: Path) -> None:
    put(tmp_path, "a.json", definition("a", later=1))
    for read in (lambda: seed(store, tmp_path), FileDefinitions(tmp_path).all):
        with captured() as lines:
            read()
        (told,) = [line for line in lines if line["level"] == "warning"]
        assert (told["file"], told["warnings"]) == ("a.json", ["/later: later is not known here; it is kept and has no effect"])


def test_what_is_wrong_from_the_start_keeps_its_place(tmp_path: Path) -> None:
    put(tmp_path, "a.json", {**definition("a"), "name": 5})
    files = FileDefinitions(tmp_path)
    assert [one.api_id for one in files.all()] == ["a"], "the live set answers 503 there"
    assert [one.name for one in files.mistakes] == ["a.json"]


def test_a_target_from_the_environment() -> None:
    environ = {"UPSTREAM_A": "http://10.0.0.1:8101/", "UPSTREAM_B": "http://b:1", "SECRET": "http://x/"}
    raw = definition("a", target="env://UPSTREAM_A/v1/")
    found = interpret(raw, environ)
    assert (found.proxy.targets[0].host, found.proxy.targets[0].path) == ("10.0.0.1", "/v1")
    assert found.raw is raw
    raw["proxy"] |= {"enable_load_balancing": True, "target_list": ["env://UPSTREAM_A/", "env://UPSTREAM_B"]}
    assert [target.host for target in interpret(raw, environ).proxy.targets] == ["10.0.0.1", "b"]


@pytest.mark.parametrize("target", ["env://SECRET/", "env://UPSTREAM_NONE/", "env://upstream_a/", "env:///", "env://UPSTREAM_A?x"])
def test_targets_that_cannot_be_filled_in(target: str) -> None:
    with pytest.raises(Mistakes) as wrong:
        interpret({**definition("a", target=target), "name": 5}, {"UPSTREAM_A": "no-url", "SECRET": "http://secret.example/"})
    pointers = [one.pointer for one in wrong.value.mistakes]
    assert sorted(pointers) == ["/name", "/proxy/target_url"]
    assert "secret.example" not in str(wrong.value)
