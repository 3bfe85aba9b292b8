"""So many requests in each minute of the clock, by token and route."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from services.common.clock import SettableClock
from services.common.readiness import NotReady
from services.common.settings import SettingsError
from services.devices.limits import InProcess, InValkey, Limits
from services.devices.settings import load, parse_rate_limits
from tests.support.stores import Valkey
from tests.support.valkey_cluster import Cluster, cluster
from tests.unit.devices.conftest import ACC, ACC2, API, MakeAPI, refused, result

NEW = {"name": "a device", "type": "mutable"}
FIVE = parse_rate_limits("POST /device=5, GET /device/<id>=1")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One store is enough: what is tested here asks none, or only for what other tests ask both."""
    return sqlite_url


def statuses(api: API, count: int, token: str = ACC) -> list[int]:
    return [api.post("/device", NEW, token).status_code for _ in range(count)]


def test_above_the_limit_a_request_is_told_when_to_come_again(make_api: MakeAPI) -> None:
    api = make_api(rate_limits=FIVE)
    api.clock.move(22.5)
    assert statuses(api, 5) == [201] * 5
    answer = api.post("/device", NEW)
    refused(answer, 429, "Too many requests (Retry-After: 38)")
    assert answer.headers["Retry-After"] == "38"
    assert len(result(api.get("/device"))) == 5
    api.clock.move(37.4)
    assert api.post("/device", NEW).headers["Retry-After"] == "1"
    api.clock.move(0.1)  # the next minute of the clock
    assert statuses(api, 6) == [201] * 5 + [429]


def test_each_token_and_each_route_is_counted_alone(make_api: MakeAPI) -> None:
    api = make_api(rate_limits=FIVE)
    made = api.device()
    assert statuses(api, 5) == [201] * 4 + [429]
    assert statuses(api, 1, ACC2) == [201]
    assert [api.get(path).status_code for path in ("/device", "/device", f"/device/{made.id}", "/device/other")] == [200, 200, 200, 429]


def test_what_is_refused_otherwise_counts_and_strangers_do_not(make_api: MakeAPI) -> None:
    api = make_api(rate_limits=FIVE)
    assert [api.post("/device", {}).status_code for _ in range(6)] == [400] * 5 + [429]
    assert [api.post("/device", NEW, "gh_acc_unknown").status_code for _ in range(7)] == [401] * 7


def test_head_counts_as_get(make_api: MakeAPI) -> None:
    api = make_api(rate_limits=parse_rate_limits("GET /device=1"))
    assert [api.send("HEAD", "/device", ACC).status_code, api.get("/device").status_code] == [200, 429]


def test_without_limits_nothing_is_counted(make_api: MakeAPI) -> None:
    assert statuses(make_api(), 20) == [201] * 20


def test_processes_that_share_a_valkey_share_the_count(make_api: MakeAPI, valkey: Valkey) -> None:
    one, other = (make_api(rate_limits=FIVE, valkey_url=valkey.url) for _ in range(2))
    assert [api.post("/device", NEW).status_code for api in (one, other) * 3] == [201] * 5 + [429]
    (key,) = valkey.client.keys("gatehouse:devices:rate:*")
    assert b"gh_acc" not in key.replace(b"id-gh_acc_one", b"") and 0 < valkey.client.ttl(key) <= 120


def test_the_count_is_exact_when_many_ask_at_once(valkey: Valkey) -> None:
    clock = SettableClock()
    for counters in ([InProcess()] * 4, [InValkey(valkey.url, clock) for _ in range(4)]):
        with ThreadPoolExecutor(8) as threads:
            counts = list(threads.map(lambda number, all=counters: all[number % 4].count("use", 1), range(200)))
        assert sorted(count or 0 for count in counts) == list(range(1, 201))
        for counter in counters:
            counter.close()


@pytest.mark.parametrize("fault", ["hangs", "away"])
def test_a_valkey_that_does_not_answer_hangs_no_request(
    make_api: MakeAPI, valkey: Valkey, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = make_api(rate_limits=FIVE, valkey_url=valkey.url)
    assert statuses(api, 5) == [201] * 5
    assert api.get("/ready", None).json["checks"]["limits"] == "ok"
    valkey.hang() if fault == "hangs" else valkey.stop()
    asked = []
    pipeline = api.parts.counter._client.pipeline
    monkeypatch.setattr(api.parts.counter._client, "pipeline", lambda **options: asked.append(1) or pipeline(**options))
    try:
        assert statuses(api, 20) == [201] * 20
        assert len(asked) == 1  # the others did not wait for it
        answer = api.get("/ready", None)
        assert answer.status_code == 503 and answer.json["checks"]["limits"] == "Valkey does not answer; requests pass uncounted"
    finally:
        valkey.go_on() if fault == "hangs" else valkey.start()
    api.clock.move(1)
    assert api.post("/device", NEW).status_code in (201, 429)
    assert api.get("/ready", None).json["checks"]["limits"] == "ok"


def test_a_valkey_that_is_back_is_noticed_without_a_request(valkey: Valkey) -> None:
    clock = SettableClock()
    counter = InValkey(valkey.url, clock)
    valkey.stop()
    try:
        assert counter.count("use", 1) is None
        clock.move(1)
        with pytest.raises(NotReady):
            counter.check()
    finally:
        valkey.start()
    with pytest.raises(NotReady):
        counter.check()  # it is not asked all the time
    clock.move(1)
    counter.check()
    assert counter.count("use", 1) == 1, "to look costs nobody a use"
    counter.close()


def test_only_one_request_tries_again() -> None:
    """After the pause the others pass at once while one waits for Valkey."""
    clock = SettableClock()
    counter = InValkey("redis://127.0.0.1:9", clock)
    assert counter.count("use", 1) is None
    clock.move(1)
    assert [counter._may_ask() for _ in range(3)] == [True, False, False]
    counter.close()


def test_a_clock_set_back_counts_anew() -> None:
    clock = SettableClock()
    limits = Limits((("GET /info", 1),), InProcess(), clock)
    limits.charge("t", "GET", "/info")
    clock.jump(-3600)
    limits.charge("t", "GET", "/info")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", ()),
        ("POST /data=250", (("POST /data", 250),)),
        (" POST /data = 250 ,GET /device/<id>/data=9,", (("POST /data", 250), ("GET /device/<>/data", 9))),
    ],
)
def test_how_limits_are_written(text: str, read: object) -> None:
    assert parse_rate_limits(text) == read


@pytest.mark.parametrize("text", ["POST /data", "POST /data=0", "/data=1", "FETCH /data=1", "POST data=1", "POST /data=1.5"])
def test_what_is_no_limit(text: str) -> None:
    with pytest.raises(ValueError, match="METHOD /path=REQUESTS"):
        parse_rate_limits(text)


def test_an_unknown_route_stops_the_start(make_api: MakeAPI) -> None:
    with pytest.raises(SettingsError, match="DEVICES_RATE_LIMITS names POST /nope, which is not a route of this service"):
        make_api(rate_limits=parse_rate_limits("POST /nope=5"))


def test_several_processes_need_valkey_to_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVICES_WORKERS", "2")
    assert load().workers == 2
    monkeypatch.setenv("DEVICES_RATE_LIMITS", "POST /data=5")
    with pytest.raises(SettingsError, match="needs VALKEY_URL"):
        load()
    monkeypatch.setenv("VALKEY_URL", "redis://127.0.0.1:9/0")
    assert load().rate_limits == (("POST /data", 5),)


def test_a_cluster_counts_each_use_where_its_slot_is(valkey_cluster: Cluster) -> None:
    counters = [InValkey(f"redis://127.0.0.1:{node.port}/0", SettableClock()) for node in valkey_cluster.primaries]
    try:
        for use in map(str, range(30)):
            assert [counter.count(use, 1) for counter in counters] == [1, 2, 3]
        assert all(node.client.dbsize() > 2 for node in valkey_cluster.primaries)
        for counter in counters:
            counter.check()
    finally:
        for counter in counters:
            counter.close()


def test_a_cluster_that_loses_a_node_keeps_no_request_from_passing() -> None:
    clock = SettableClock()
    with cluster(2) as own:
        counter = InValkey(own.url, clock)
        try:
            assert {counter.count(str(use), 1) for use in range(20)} == {1}
            own.primaries[1].kill()
            assert None in [counter.count(str(use), 1) for use in range(20)]
            with pytest.raises(NotReady):
                counter.check()
            own.primaries[0].kill()
            for _ in range(5):
                clock.move(2)
                assert counter.count("a", 1) is None
        finally:
            counter.close()
