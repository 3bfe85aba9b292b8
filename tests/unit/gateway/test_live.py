"""The loaded set: swapped whole, undisturbed by what is broken or switched off, and warm where nothing has changed."""

from __future__ import annotations

import gc
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from services.gateway.compiler import compile_api
from services.gateway.definitions.claims import claim
from services.gateway.definitions.model import Definition
from services.gateway.definitions.reader import Mistakes
from services.gateway.exchange import CompiledApi
from services.gateway.live import Live, Snapshot
from services.gateway.refusals import DEFINITION_BROKEN, NOT_FOUND, RefusalKind
from tests.unit.gateway.exchanges import definition, document, exchange, ports, refusal


@dataclass(frozen=True)
class Stored:
    """A definition as a store gives it."""

    id: str
    api_id: str
    revision: int
    raw: dict[str, Any]


def stored(api_id: str, listen_path: str | None = None, revision: int = 1, target: str = "http://10.0.0.1/", **more: Any) -> Stored:
    proxy = {"listen_path": listen_path or f"/{api_id}/", "target_url": target}
    return Stored(f"id-{api_id}", api_id, revision, document(**{"api_id": api_id, "name": api_id, "proxy": proxy, **more}))


@dataclass(frozen=True)
class Changed:
    """What a store says of what changed."""

    generation: int
    definitions: Mapping[str, Stored | None]


class Source:
    """A store. changed: what it says of changes; None = it does not know. fails: what reading raises."""

    def __init__(self, *definitions: Stored) -> None:
        self.definitions: Sequence[Stored] = definitions
        self.changed: Changed | None = None
        self.fails: Exception | None = None

    def generation(self) -> int:
        return 0

    def all(self) -> Sequence[Stored]:
        if self.fails is not None:
            raise self.fails
        return self.definitions

    def changed_since(self, generation: int) -> Changed | None:
        if self.fails is not None:
            raise self.fails
        return self.changed


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def live(source: Source) -> Live:
    return Live(source, ports())


def owner(snapshot: Snapshot, path: str, host: str = "h.example") -> CompiledApi | None:
    return snapshot.paths.find(host, path)


def says(api: CompiledApi | None, kind: RefusalKind) -> None:
    assert api is not None

    class Rule:
        on_request = staticmethod(api.open_stages[0])

    refusal(Rule, exchange(), kind)


def test_before_the_first_load(live: Live) -> None:
    assert live.current.number == 0
    assert owner(live.current, "/") is None


def test_the_set_is_swapped_whole(live: Live, source: Source) -> None:
    source.definitions = [stored("a"), stored("b")]
    first = live.reload()
    assert live.current is first
    assert (first.number, sorted(first.apis)) == (1, ["a", "b"])
    source.definitions = [stored("b"), stored("c")]
    second = live.reload()
    assert (second.number, sorted(second.apis)) == (2, ["b", "c"])
    assert owner(second, "/a") is None
    assert owner(first, "/a") is first.apis["a"], "who reads the old set goes on reading it"


def test_what_has_not_changed_stays_the_same_object(live: Live, source: Source) -> None:
    """What its stages remember stays warm."""
    source.definitions = [stored("a"), stored("b")]
    first = live.reload()
    source.definitions = [stored("a"), stored("b", revision=2, name="New")]
    second = live.reload()
    assert second.apis["a"] is first.apis["a"]
    assert second.apis["b"] is not first.apis["b"]
    assert (second.apis["b"].name, second.apis["b"].revision) == ("New", 2)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The api_ids of what was compiled, in order."""
    done: list[str] = []

    def compile_noted(definition: Definition, *rest: Any) -> CompiledApi:
        done.append(definition.api_id)
        return compile_api(definition, *rest)

    monkeypatch.setattr("services.gateway.live.compile_api", compile_noted)
    return done


def change(live: Live, source: Source, generation: int, **definitions: Stored | None) -> Snapshot:
    """Catches up with these changes, by api_id."""
    source.changed = Changed(generation, {f"id-{api_id}": one for api_id, one in definitions.items()})
    return live.catch_up()


def test_only_what_changed_is_compiled(live: Live, source: Source, compiled: list[str]) -> None:
    source.definitions = [stored(name) for name in ("a", "b", "c", "gone")]
    first = live.reload()
    assert compiled == ["a", "b", "c", "gone"]
    source.definitions = []  # what is read whole now would be seen
    second = change(live, source, 4, b=stored("b", revision=2, name="New"), new=stored("new"), gone=None, never=None)
    assert compiled[4:] == ["b", "new"]
    assert (first.number, second.number, second.generation) == (1, 2, 4)
    assert sorted(second.apis) == ["a", "b", "c", "new"]
    assert second.apis["a"] is first.apis["a"]
    assert second.apis["b"].name == "New"
    assert owner(second, "/new") is second.apis["new"]
    assert owner(second, "/gone") is None
    assert owner(first, "/gone") is first.apis["gone"], "who reads the old set goes on reading it"
    assert sorted(one.api_id for one in second.stored()) == ["a", "b", "c", "new"]


def test_what_is_loaded_already_is_not_compiled_again(live: Live, source: Source, compiled: list[str]) -> None:
    source.definitions = [stored("a"), stored("off", active=False), stored("bad", version_data={})]
    first = live.reload()
    compiled.clear()
    second = change(live, source, 7, a=stored("a"), off=stored("off", active=False), bad=stored("bad", version_data={}))
    assert compiled == []
    assert (second.number, second.generation, second.apis) == (first.number, 7, first.apis)
    assert change(live, source, 7, a=stored("a", revision=2)) is second, "the generation says that nothing changed"


def test_a_definition_goes_through_all_its_states(live: Live, source: Source) -> None:
    source.definitions = [stored("broad", "/"), stored("x")]
    live.reload()
    off = change(live, source, 1, x=stored("x", revision=2, active=False))
    assert (sorted(off.apis), sorted(off.inactive), sorted(off.broken)) == (["broad"], ["x"], [])
    says(owner(off, "/x/y"), NOT_FOUND)
    bad = change(live, source, 2, x=stored("x", revision=3, version_data={}))
    assert (sorted(bad.apis), sorted(bad.inactive), sorted(bad.broken)) == (["broad"], [], ["x"])
    says(owner(bad, "/x/y"), DEFINITION_BROKEN)
    lost = change(live, source, 3, x=stored("x", "x", revision=4))
    assert sorted(lost.broken) == ["x"]
    assert owner(lost, "/x/y") is lost.apis["broad"], "nobody knows its place"
    moved = change(live, source, 4, x=stored("x", "/moved/", revision=5))
    assert (sorted(moved.apis), moved.inactive, moved.broken) == (["broad", "x"], {}, {})
    assert owner(moved, "/moved") is moved.apis["x"]
    gone = change(live, source, 5, x=None)
    assert owner(gone, "/moved") is gone.apis["broad"]
    assert [one.api_id for one in gone.stored()] == ["broad"]


def test_an_api_that_is_deleted_and_created_again(live: Live, source: Source) -> None:
    """Under another internal id, between two looks."""
    source.definitions = [stored("a")]
    live.reload()
    again = replace(stored("a", name="New"), id="0")
    source.changed = Changed(2, {"0": again, "id-a": None})
    assert live.catch_up().apis["a"].name == "New"
    assert owner(live.current, "/a") is live.current.apis["a"]


def test_a_conflict_comes_and_goes_and_is_told_once(live: Live, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("services.gateway.live.log", SimpleNamespace(error=lambda what, **fields: told.append(fields["conflict"])))
    source.definitions = [stored("one", "/a"), stored("three")]
    live.reload()
    two = change(live, source, 1, two=stored("two", "/a/"))
    assert owner(two, "/a") is two.apis["one"]
    other = change(live, source, 2, three=stored("three", revision=2))
    assert len(told) == len(other.paths.conflicts()) == 1
    assert owner(change(live, source, 3, one=None), "/a") is two.apis["two"]
    assert live.current.paths.conflicts() == ()


def test_a_store_that_does_not_know_what_changed_is_read_whole(live: Live, source: Source, compiled: list[str]) -> None:
    source.definitions = [stored("a")]
    assert sorted(live.catch_up().apis) == ["a"], "also before the first load"
    source.changed = None
    source.definitions = [stored("a"), stored("b")]
    assert sorted(live.catch_up().apis) == ["a", "b"]
    assert compiled == ["a", "b"]


def test_a_catch_up_with_the_store_away_changes_nothing(live: Live, source: Source) -> None:
    source.definitions = [stored("a")]
    before = live.reload()
    source.fails = OSError("away")
    with pytest.raises(OSError, match="away"):
        live.catch_up()
    assert live.current is before
    source.fails = None
    assert change(live, source, 1, b=stored("b")).apis["a"] is before.apis["a"]


def test_definitions_are_served_without_the_store(live: Live, source: Source, compiled: list[str]) -> None:
    source.fails = OSError("away")
    copy = live.serve([stored("a"), stored("off", active=False), stored("bad", version_data={})], 5)
    assert (copy.generation, sorted(copy.apis), sorted(copy.inactive), sorted(copy.broken)) == (5, ["a"], ["off"], ["bad"])
    source.fails = None
    source.definitions = copy.stored()
    assert live.reload().apis["a"] is copy.apis["a"]
    assert compiled == ["a"]


def test_many_that_are_loaded_are_out_of_the_collectors_sight(live: Live, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would look through all of them again and again, and the loop would wait."""
    monkeypatch.setattr("services.gateway.live._MANY", 3)
    source.definitions = [stored(name) for name in ("a", "b", "c")]
    before = gc.get_freeze_count()
    live.reload()
    assert gc.get_freeze_count() > before
    assert gc.isenabled()


def test_a_file_that_changes_without_another_revision(live: Live, source: Source) -> None:
    source.definitions = [stored("a")]
    live.reload()
    source.definitions = [stored("a", name="New")]
    assert live.reload().apis["a"].name == "New"


def test_a_switched_off_api_keeps_its_place(live: Live, source: Source) -> None:
    source.definitions = [stored("broad", "/"), stored("off", "/x/y", active=False)]
    snapshot = live.reload()
    assert (sorted(snapshot.apis), sorted(snapshot.inactive)) == (["broad"], ["off"])
    says(owner(snapshot, "/x/y/z"), NOT_FOUND)
    assert owner(snapshot, "/x") is snapshot.apis["broad"]
    source.definitions = [stored("broad", "/"), stored("off", "/x/y", revision=2)]
    assert owner(live.reload(), "/x/y/z") is live.current.apis["off"]


def test_a_broken_definition_keeps_its_place_and_disturbs_nobody(live: Live, source: Source) -> None:
    source.definitions = [stored("broad", "/"), stored("bad", "/x/y", version_data={}), stored("lost", "x"), stored("good")]
    snapshot = live.reload()
    assert sorted(snapshot.apis) == ["broad", "good"]
    assert sorted(snapshot.broken) == ["bad", "lost"]
    assert "/version_data/versions" in [mistake.pointer for mistake in snapshot.broken["bad"]]
    says(owner(snapshot, "/x/y/z"), DEFINITION_BROKEN)
    source.definitions = [stored("bad", "/x/y", revision=2)]
    assert live.reload().broken == {}
    assert owner(live.current, "/x/y") is live.current.apis["bad"]


@pytest.mark.parametrize("raw", [{}, {"proxy": {"listen_path": "/x/", "target_url": "http://h/%zz"}}, {"session_lifetime": float("inf")}])
def test_nothing_stored_stops_the_others(live: Live, source: Source, raw: dict[str, Any]) -> None:
    source.definitions = [Stored("1", "odd", 1, raw), stored("good")]
    snapshot = live.reload()
    assert (sorted(snapshot.apis), sorted(snapshot.broken)) == (["good"], ["odd"])


def test_two_on_one_place(live: Live, source: Source) -> None:
    source.definitions = [stored("one", "/a"), stored("two", "/a/")]
    snapshot = live.reload()
    assert owner(snapshot, "/a") is snapshot.apis["one"]
    assert len(snapshot.paths.conflicts()) == 1


def test_when_the_store_is_away_nothing_changes(live: Live, source: Source) -> None:
    source.definitions = [stored("a")]
    before = live.reload()
    source.fails = OSError("away")
    with pytest.raises(OSError, match="away"):
        live.reload()
    assert live.current is before
    source.fails = None
    assert live.reload().apis["a"] is before.apis["a"]


def test_targets_of_the_environment(live: Live, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    source.definitions = [stored("a", target="env://UPSTREAM_A/x")]
    monkeypatch.delenv("UPSTREAM_A", raising=False)
    assert "UPSTREAM_A is not set" in live.reload().broken["a"][0].message
    monkeypatch.setenv("UPSTREAM_A", "http://a.example:81")
    found = live.reload().apis["a"].targets[0]
    assert (found.host, found.port, found.path) == ("a.example", 81, "/x")


def test_a_place_that_is_taken(live: Live, source: Source) -> None:
    source.definitions = [stored("a", "/x"), stored("b", "/y", domain="h.example"), stored("off", "/z", active=False)]
    live.reload()

    def asking(listen_path: str, replaces: str | None = None, **more: Any) -> None:
        proxy = {"listen_path": listen_path, "target_url": "http://h/"}
        live.check(definition(**{"api_id": "new", "proxy": proxy, **more}), replaces)

    with pytest.raises(Mistakes, match=r"/proxy/listen_path: `a` \(a\) already listens on /x/"):
        asking("/x/")
    with pytest.raises(Mistakes, match=r"already listens on h\.example/y/"):
        asking("/y", domain="H.example")
    asking("/x/", active=False)
    asking("/x/", replaces="a")
    asking("/x/", api_id="a")
    asking("/x/", domain="other.example")
    asking("/y/")
    asking("/z/")
    asking("/x/y")


def test_many_reload_at_once(live: Live, source: Source) -> None:
    source.definitions = [stored(str(number)) for number in range(20)]
    seen: list[Snapshot] = []
    threads = [threading.Thread(target=lambda: seen.append(live.reload())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(snapshot.number for snapshot in seen) == list(range(1, 9))
    assert {id(snapshot.apis["7"]) for snapshot in seen} == {id(live.current.apis["7"])}


def test_a_reload_reads_files_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_SECRETS_PATH", str(tmp_path))
    file = tmp_path / "target"
    file.write_text("http://one")
    live = Live(Source(stored("a", target="secrets://target"), stored("b")), ports())

    def loaded() -> tuple[str, CompiledApi]:
        apis = live.reload().apis
        return apis["a"].targets[0].host, apis["b"]

    host, other = loaded()
    file.write_text("http://two")
    assert (host, *loaded()) == ("one", "two", other)
    file.unlink()
    assert loaded() == ("two", other), "what was there stays in force"


def test_a_reload_reads_templates_again(tmp_path: Path) -> None:
    file = tmp_path / "names.tmpl"
    file.write_text("{{.one}}")
    data = {"template_mode": "file", "template_source": "names.tmpl"}
    version = {"use_extended_paths": True, "extended_paths": {"transform": [{"path": "/", "template_data": data}]}}
    live = Live(Source(stored("a", version=version), stored("b")), replace(ports(), folder=tmp_path))
    first = live.reload()
    assert live.reload().apis["a"] is first.apis["a"]
    file.write_text("{{.other}}")
    second = live.reload()
    assert second.apis["a"] is not first.apis["a"]
    assert second.apis["b"] is first.apis["b"]
    file.unlink()
    assert [(one.pointer.rpartition("/")[2]) for one in live.reload().broken["a"]] == ["template_source"]


def test_a_gateway_with_tags_serves_only_what_shares_one(source: Source) -> None:
    broken = {"listen_path": "/c/", "target_url": ""}
    source.definitions = [
        stored("all", "/", tags=["edge"]), stored("a", tags=["other", "inside"]), stored("b"), stored("c", proxy=broken, tags=["inside"]),
        stored("d", tags=["edge"], tags_disabled=True), stored("e", Tags=["edge", "x"], active=False),
    ]  # fmt: skip
    live = Live(source, ports(), frozenset({"edge", "y"}))
    snapshot = live.reload()
    assert (list(snapshot.apis), list(snapshot.inactive), list(snapshot.broken)) == (["all"], ["e"], [])
    assert [one.state for one in snapshot.loaded.values()] == ["served", *["elsewhere"] * 4, "inactive"]
    assert list(snapshot.elsewhere) == ["a", "b", "c", "d"]
    assert owner(snapshot, "/a/") is snapshot.apis["all"]
    source.changed = Changed(1, {"id-a": stored("a", revision=2, tags=["y"]), "id-all": stored("all", "/", revision=2)})
    assert list(live.catch_up().apis) == ["a"]
    assert list(Live(source, ports()).reload().apis) == ["all", "a", "b", "d"], "without tags of its own it serves all"


@pytest.mark.parametrize("wrong", [{"tags": "edge"}, {"tags": ["inside"], "tags_disabled": "no"}])
def test_what_has_tags_that_cannot_be_read_keeps_its_place(source: Source, wrong: dict[str, Any]) -> None:
    """Its requests must not go to a neighbour because of a slip."""
    source.definitions = [stored("all", "/", tags=["edge"]), stored("a", **wrong)]
    snapshot = Live(source, ports(), frozenset({"edge"})).reload()
    assert (list(snapshot.apis), list(snapshot.broken)) == (["all"], ["a"])
    assert owner(snapshot, "/a/") is not snapshot.apis["all"]


def test_an_internal_api_has_no_place(live: Live, source: Source) -> None:
    source.definitions = [stored("all", "/"), stored("a", internal=True), stored("off", internal=True, active=False)]
    source.definitions = [*source.definitions, stored("broken", target="x", internal=True)]
    found = live.reload()
    assert (sorted(found.apis), sorted(found.inactive), sorted(found.broken)) == (["a", "all"], ["off"], ["broken"])
    assert {owner(found, f"/{name}/") for name in ("a", "off", "broken")} == {found.apis["all"]}
    for one in (definition(api_id="new", internal=True, proxy={"listen_path": "/", "target_url": "http://x"}),):
        live.check(one)
        assert claim(one).place is None
