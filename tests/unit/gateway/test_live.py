"""The loaded set: swapped whole, undisturbed by what is broken or switched off, and warm where nothing has changed."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

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
