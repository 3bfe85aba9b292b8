"""Other paths, queries and upstreams for requests, and what a client cannot do with them."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Any

import pytest

from services.gateway.definitions.model import TargetUrl
from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key
from services.gateway.middleware import url_rewrite
from services.gateway.refusals import BAD_PATH
from services.gateway.targets import target
from services.gateway.threads import Threads
from tests.unit.gateway.exchanges import ask, built, document, exchange, mistakes, ports, refusal

PLACE = "/version_data/versions/Default/extended_paths/url_rewrites/0"


def rule(*entries: dict[str, Any], proxy: dict[str, Any] | None = None, **version: Any) -> Any:
    paths = {"url_rewrites": [{"path": "/", "match_pattern": ".*", **entry} for entry in entries]}
    more = {} if proxy is None else {"proxy": {**document()["proxy"], **proxy}}
    return built(url_rewrite, ports(), version={"use_extended_paths": True, "extended_paths": paths, **version}, **more)


def sent(rule: Any, asked: Exchange) -> str | None:
    """The path and query that the upstream is asked for; None when they are the client's."""
    assert ask(rule, asked) is None
    if asked.upstream_path is None:
        return None
    return asked.upstream_path + (f"?{asked.upstream_query}" if asked.upstream_query else "")


def wrong(**entry: Any) -> list[str]:
    paths = {"url_rewrites": [{"path": "/", "match_pattern": "(.*)", "rewrite_to": "/a", **entry}]}
    found = mistakes(url_rewrite, version={"use_extended_paths": True, "extended_paths": paths})
    return [pointer.removeprefix(PLACE) for pointer in found]


def test_without_entries_it_is_not_in_the_chain() -> None:
    assert rule() is None
    assert rule({"rewrite_to": "tyk://self/", "disabled": True}) is None
    assert rule({"rewrite_to": "/a"}, use_extended_paths=False) is None


@pytest.mark.parametrize(
    ("pattern", "to", "asked", "expected"),
    [
        ("/old/(\\w+)", "/new/$1", "/api/old/7", "/new/7"),
        ("/old/(\\w+)", "/new/$1", "/api/old/7?x=1", "/new/7"),
        ("/old/(.*)", "/new/$1", "/api/old/7?x=1&y=2", "/new/7?x=1&y=2"),
        ("/(\\w+)/(\\w+)\\?id=(\\d+)", "/$3/$2/$1?of=$3", "/api/a?id=5", "/5/a/api?of=5"),
        ("nothing", "/new", "/api/old", None),
        (".*", "new", "/api/old", "/new"),
        ("/api(/.*)", "$1/", "/api/a", "/a/"),
        ("(a)|(b)", "/x$2/y", "/api/1", "/x/y"),
        ("^/api/(.*)", "/api/inner/$1", "/api/a", "/inner/a"),
        ("^/api/(.*)", "/api", "/api/a", "/"),
        ("^/api/(.*)", "/apis/$1", "/api/a", "/apis/a"),
        ("/caf\u00e9/(.*)", "/tea/$1", "/api/caf%C3%A9/gr%C3%BCn%20%26", "/tea/gr%C3%BCn%20%26"),
        ("/caf\u00e9/(.*)", "/tea/$1", "/api/caf%C3%A9/a%2Fb%3Fc%23d", "/tea/a%2Fb%3Fc%23d"),
        ("/café/(.*)", "/tea?x=$1", "/api/caf%C3%A9/%26b", "/tea?x=%26b"),
        ("café\\?(.*)", "/tea?$1", "/api/caf%C3%A9?a=1&b=%20", "/tea?a=1&b=%20"),
        ("/a/(.*)", "/t\u00e9/$1?q=\u00e9", "/api/a/b", "/t%C3%A9/b?q=%C3%A9"),
        ("/a/(.*)/(.*)", "/$2//$1", "/api/a/b/", "/b"),
    ],
)
def test_addresses(pattern: str, to: str, asked: str, expected: str | None) -> None:
    assert sent(rule({"match_pattern": pattern, "rewrite_to": to}), exchange("GET", asked)) == expected


def test_the_entry_is_found_by_path_and_method() -> None:
    both = rule({"path": "^/a", "method": "GET", "rewrite_to": "/one"}, {"path": "^/", "rewrite_to": "/two"})
    assert sent(both, exchange("GET", "/api/a")) == "/one"
    assert sent(both, exchange("POST", "/api/a")) == "/two"
    assert sent(both, exchange("GET", "/api/a", version="other")) is None


def test_the_listen_path_stays_where_it_is_not_stripped() -> None:
    keeps = rule({"match_pattern": "/api/(.*)", "rewrite_to": "/api/v2/$1"}, proxy={"strip_listen_path": False})
    assert sent(keeps, exchange("GET", "/api/a")) == "/api/v2/a"


def test_another_upstream() -> None:
    asked = exchange("GET", "/api/a?b=1")
    assert sent(rule({"match_pattern": "/api/(.*)", "rewrite_to": "HTTPS://Other.example:8443/api/$1"}), asked) == "/api/a?b=1"
    assert asked.target == target(TargetUrl("https", "other.example", 8443, "", ""))
    bare = exchange("GET", "/api/a")
    assert sent(rule({"rewrite_to": "http://other.example"}), bare) == "/"
    assert bare.target is not None and bare.target.origin == ("http", "other.example", 80)
    with_query = exchange("GET", "/api/a")
    assert sent(rule({"rewrite_to": "http://other.example?a=1"}), with_query) == "/?a=1"


@pytest.mark.parametrize("captured", ["http://evil.example/x", "//evil.example", "@evil.example/", "http:%2F%2Fevil.example"])
def test_a_client_cannot_choose_the_host(captured: str) -> None:
    for to in ("$1", "/$1", "http://good.example/$1"):
        asked = exchange("GET", f"/api/a?to={captured}")
        found = sent(rule({"match_pattern": "to=(.*)", "rewrite_to": to}), asked)
        assert found is not None and found.startswith("/")
        assert asked.target is None or asked.target.host == "good.example"


@pytest.mark.parametrize("captured", ["../up", "a/../../up", "..", "..%2Fup", "%2e%2E/up", "..%5Cup", "..\\up", "x/..?y", ".%2e"])
def test_a_value_cannot_climb(captured: str) -> None:
    refusal(rule({"match_pattern": "to=(.*)", "rewrite_to": "/safe/$1"}), exchange("GET", f"/api/a?to={captured}"), BAD_PATH)


def test_a_value_of_a_variable_cannot_climb_and_stays_one_segment() -> None:
    by_header = rule({"rewrite_to": "/safe/$tyk_context.headers_X/$tyk_meta.tier?x=$tyk_context.headers_X"})
    key = Key(id="k", session={"meta_data": {"tier": "gold"}})
    assert (
        sent(by_header, exchange(headers=[("X", "a/b?c&d#e%2e")], key=key)) == "/safe/a%2Fb%3Fc%26d%23e%252e/gold?x=a%2Fb%3Fc%26d%23e%252e"
    )
    refusal(by_header, exchange(headers=[("X", "..")]), BAD_PATH)
    refusal(by_header, exchange(headers=[("X", "../up")]), BAD_PATH)
    refusal(rule({"rewrite_to": "/safe/.$tyk_context.headers_X"}), exchange(headers=[("X", ".")]), BAD_PATH)
    assert sent(rule({"rewrite_to": "/safe/x$tyk_context.headers_X"}), exchange(headers=[("X", "..")])) == "/safe/x.."


def test_what_is_matched_in_the_path_begins_no_parameter() -> None:
    found = sent(rule({"match_pattern": "/user/(.*)", "rewrite_to": "/get?user=$1"}), exchange("GET", "/api/user/me&admin=1;b+c"))
    assert found == "/get?user=me%26admin=1%3Bb%2Bc"
    found = sent(rule({"match_pattern": "\\?(.*)", "rewrite_to": "/get?$1&z=1"}), exchange("GET", "/api/user?a=1&b=2"))
    assert found == "/get?a=1&b=2&z=1"


def test_a_variable_that_a_client_writes_is_not_one() -> None:
    found = sent(rule({"match_pattern": "/api/(.*)", "rewrite_to": "/x/$1"}), exchange("GET", "/api/$tyk_context.path/$1"))
    assert found == "/x/$tyk_context.path/$1"


def test_a_target_that_grows_too_long() -> None:
    long = "/api/" + "a" * 5000
    refusal(rule({"match_pattern": "(.*)", "rewrite_to": "/" + "$1" * 4}), exchange("GET", long), BAD_PATH)


def trigger(to: str, on: str = "all", **options: Any) -> dict[str, Any]:
    matches = {
        name: value if name == "payload_matches" else {key: {"match_rx": rx} for key, rx in value.items()}
        for name, value in options.items()
    }
    return {"on": on, "options": matches, "rewrite_to": to}


def triggered(*triggers: dict[str, Any]) -> Any:
    return rule({"match_pattern": "/api/(.*)", "rewrite_to": "/usual/$1", "triggers": list(triggers)})


ANY = {"match_rx": "x"}
ALL = trigger("/all", header_matches={"X-A": "^1$", "x-b": "2"}, query_val_matches={"q": "^y"})


@pytest.mark.parametrize(
    ("headers", "query", "expected"),
    [
        ([("x-a", "1"), ("X-B", "12")], "?q=n&q=yes", "/all"),
        ([("x-a", "1"), ("x-a", "1")], "?q=yes", "/usual/a?q=yes"),
        ([("X-A", "1"), ("X-B", "2")], "?q=no", "/usual/a?q=no"),
        ([], "", "/usual/a"),
    ],
)
def test_all_conditions(headers: list[tuple[str, str]], query: str, expected: str) -> None:
    assert sent(triggered(ALL), exchange("GET", f"/api/a{query}", headers)) == expected


def test_any_condition_and_the_first_trigger_that_fires() -> None:
    either = triggered(trigger("/any/$1", "any", header_matches={"X-A": "1"}, path_part_matches={"part": "^b(\\d)$"}), ALL)
    assert sent(either, exchange("GET", "/api/a", [("X-A", "1"), ("X-B", "2")])) == "/any/a"
    assert sent(either, exchange("GET", "/api/b1")) == "/any/b1"
    assert sent(either, exchange("GET", "/api/b12?q=y", [("X-B", "2")])) == "/usual/b12?q=y"


def test_what_the_triggers_have_matched() -> None:
    first = trigger("/one", header_matches={"X-No": "never"})
    text = "-".join(
        f"$tyk_context.trigger-1-{name}"
        for name in ("X-Test-0", "x-test-0-0", "X-Test-1", "part-0-0", "q-0", "tier", "tier-0", "path-0", "none")
    )
    second = trigger(
        f"/two/{text.replace('-$', '/$')}", "any", header_matches={"X-Test": "v(\\d)"}, path_part_matches={"part": "^b(\\d)$"},
        query_val_matches={"q": ".+"}, session_meta_matches={"tier": "g(.*)"}, request_context_matches={"path": "/api/(.)"},
    )  # fmt: skip
    key = Key(id="k", session={"meta_data": {"tier": "gold", "number": 1}})
    asked = exchange("GET", "/api/b7?q=a%20b/c", [("X-Test", "v1"), ("X-Test", "v2")], key=key)
    assert sent(triggered(first, second), asked) == "/two/v1/1/v2/7/a%20b%2Fc/gold/old/b/"


def test_the_opposite_of_a_pattern_needs_a_value() -> None:
    options = {"header_matches": {"X": {"match_rx": "^1$", "reverse": True}}}
    opposite = triggered({"on": "any", "options": options, "rewrite_to": "/other"})
    assert sent(opposite, exchange("GET", "/api/a", [("X", "2")])) == "/other"
    assert sent(opposite, exchange("GET", "/api/a", [("X", "1")])) == "/usual/a"
    assert sent(opposite, exchange("GET", "/api/a")) == "/usual/a"


@pytest.mark.parametrize("size", [0, 100_000])
def test_the_body(size: int) -> None:
    """It is read only for an entry that asks for it; a large one is searched in a thread."""
    rule = triggered(trigger("/kind/$tyk_context.trigger-0-payload-1-0", payload_matches={"match_rx": "kind=(\\w+)"}))
    reads = []

    async def read() -> bytes:
        reads.append(1)
        return b"\xff" * size + b"kind=a kind=b" + b"\xff" * size

    asked = exchange("POST", "/api/a")
    asked.body_reader = read
    assert sent(rule, asked) == "/kind/b"
    plain = exchange("POST", "/api/a")
    plain.body_reader = read
    assert sent(triggered(ALL), plain) == "/usual/a"
    assert len(reads) == 1


def test_large_bodies_are_searched_in_the_few_threads_for_bodies() -> None:
    """A thread for each of them would be as many as clients want."""
    outside = ports()
    threads = Threads(0, "nobody")
    paths = {"url_rewrites": [{"path": "/", "match_pattern": ".*", "rewrite_to": "/", "triggers": [trigger("/a", payload_matches=ANY)]}]}
    searching = built(url_rewrite, replace(outside, bodies=threads), version={"use_extended_paths": True, "extended_paths": paths})

    async def read() -> bytes:
        return b"x" * 100_000

    async def waits(asked: Exchange) -> bool:
        task = asyncio.ensure_future(searching.on_request(asked))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        threads.shutdown(cancel_futures=True)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, 10)
        return task.cancelled()

    asked = exchange("POST", "/api/a")
    asked.body_reader = read
    assert asyncio.run(waits(asked))
    assert asked.upstream_path is None


def test_claims_of_a_token() -> None:
    """What they say stays within its segment or parameter, whatever a stranger has in them."""
    rule = triggered(
        trigger(
            "/x/$tyk_context.trigger-0-jwt_claims_role-0/$tyk_context.jwt_claims_name?of=$tyk_context.jwt_claims_name",
            request_context_matches={"jwt_claims_role": "^(admin)"},
        )
    )
    asked = exchange("GET", "/api/a")
    asked.claims = {"role": "admin", "name": "a/b?c=d&e#f\r\n é\ud800"}
    assert sent(rule, asked) == "/x/admin/a%2Fb%3Fc%3Dd%26e%23f%0D%0A%20%C3%A9%3F?of=a%2Fb%3Fc%3Dd%26e%23f%0D%0A%20%C3%A9%3F"
    asked = exchange("GET", "/api/a")
    asked.claims = {"role": "admin", "name": "../b"}
    refusal(rule, asked, BAD_PATH)
    asked = exchange("GET", "/api/a")
    asked.claims = {"role": "guest\ud800"}
    assert sent(rule, asked) == "/usual/a"


def test_a_body_that_must_not_match() -> None:
    rule = triggered(trigger("/other", payload_matches={"match_rx": "yes", "reverse": True}))
    asked = exchange("POST", "/api/a")
    asyncio.run(asked.read_body())
    assert sent(rule, asked) == "/other"
    asked = exchange("POST", "/api/a")
    asked.body = b"yes"
    assert sent(rule, asked) == "/usual/a"


@pytest.mark.parametrize(
    "to",
    ["", "tyk://$1/a", "tyk:///a", "tyk://a/?loop_limit=$1", "tyk://self/?method=$1", "ftp://h/", "http://$1/a", "http://h$1",
     "http://h.$tyk_meta.x/a", "https://$tyk_context.headers_X",
     "$tyk_meta.url", "http://user@h/", "http://h:0/", "/a b", "/a\n", "/a#b", "/a/../b", "/%2e%2E/", "/$2", "/$secret_env.X"],
)  # fmt: skip
def test_targets_that_are_wrong(to: str) -> None:
    assert wrong(rewrite_to=to) == ["/rewrite_to"]
    assert wrong(triggers=[{"on": "any", "options": {"header_matches": {"a": {"match_rx": "a"}}}, "rewrite_to": to}]) == [
        "/triggers/0/rewrite_to"
    ]


@pytest.mark.parametrize(
    ("entry", "places"),
    [
        ({"match_pattern": ""}, ["/match_pattern"]),
        ({"match_pattern": "(?=a)"}, ["/match_pattern"]),
        ({"path": "("}, ["/path"]),
        ({"triggers": [{"on": "all", "options": {}, "rewrite_to": "/a"}]}, ["/triggers/0/options"]),
        ({"triggers": [{"on": "none", "options": {"header_matches": {"a": {"match_rx": "a"}}}, "rewrite_to": "/a"}]}, ["/triggers/0/on"]),
        ({"triggers": [{"options": {"payload_matches": {"match_rx": "("}}, "rewrite_to": "/a"}]},
         ["/triggers/0/options/payload_matches/match_rx"]),
        ({"triggers": [{"options": {"query_val_matches": {"a": {}}}, "rewrite_to": "/a"}]},
         ["/triggers/0/options/query_val_matches/a/match_rx"]),
    ],
)  # fmt: skip
def test_entries_that_are_wrong(entry: dict[str, Any], places: list[str]) -> None:
    assert wrong(**entry) == places
