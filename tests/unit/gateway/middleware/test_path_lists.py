"""The lists of paths: their order, methods, replies, both forms, and paths that are spelled to get around them."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.exchange import Reply
from services.gateway.middleware import path_lists
from services.gateway.middleware.path_lists import Lists, MethodAction, PathEntry
from services.gateway.refusals import ENDPOINT_FORBIDDEN
from tests.unit.gateway.exchanges import ask, built, exchange, lists, mistakes, ports, refusal, spec


def entry(path: str, *methods: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "method_actions": {method: {"action": "no_action", "code": 200} for method in methods}, **more}


def reply(path: str, method: str = "GET", **action: Any) -> dict[str, Any]:
    return {"path": path, "method_actions": {method: {"action": "reply", "code": 200, **action}}}


def rule(**version: Any) -> Any:
    return built(path_lists, ports(), version=version)


def verdict(path_lists: Any, path: str, method: str = "GET") -> str:
    """pass, ignored, forbidden or reply. path: below the listen path."""
    request = exchange(method, f"/api{path}")
    try:
        answer = ask(path_lists, request)
    except Exception:
        refusal(path_lists, request, ENDPOINT_FORBIDDEN)
        return "forbidden"
    return "reply" if answer is not None else "ignored" if request.ignored else "pass"


def test_a_definition_without_lists_does_not_use_it() -> None:
    assert rule() is None
    assert rule(**lists()) is None


def test_only_the_form_that_is_switched_on_counts() -> None:
    both = {"paths": {"black_list": ["/old"]}, "extended_paths": {"black_list": [entry("/new", "GET")]}}
    legacy, extended = rule(**both), rule(**both, use_extended_paths=True)
    assert [verdict(legacy, "/old"), verdict(legacy, "/new")] == ["forbidden", "pass"]
    assert [verdict(extended, "/old"), verdict(extended, "/new")] == ["pass", "forbidden"]


@pytest.mark.parametrize("extended", [False, True])
def test_the_order_of_the_lists(extended: bool) -> None:
    def at(path: str) -> Any:
        return entry(path, "GET") if extended else path

    all_three = rule(**lists([at("/a")], [at("/a"), at("/b")], [at("/a"), at("/b"), at("/c")], extended=extended))
    assert [verdict(all_three, path) for path in ("/a", "/b", "/c", "/d")] == ["ignored", "forbidden", "pass", "forbidden"]
    no_white = rule(**lists([at("/a")], [at("/b")], extended=extended))
    assert verdict(no_white, "/d") == "pass"


def test_legacy_lists_are_for_every_method() -> None:
    legacy = rule(**lists(["/a"], ["/b"]))
    for method in ("GET", "POST", "PURGE"):
        assert [verdict(legacy, path, method) for path in ("/a", "/b", "/c")] == ["ignored", "forbidden", "pass"]


def test_a_wrong_method_does_not_end_the_search() -> None:
    """As in Tyk 3.1; 1.4 and 2.3 stopped at the first path that matched."""
    found = rule(**lists([entry("/a", "GET")], [entry("/a", "POST")], [entry("/a", "PUT"), entry("^/$", "GET")], extended=True))
    verdicts = {method: verdict(found, "/a", method) for method in ("GET", "POST", "PUT", "DELETE", "get")}
    assert verdicts == {"GET": "ignored", "POST": "forbidden", "PUT": "pass", "DELETE": "forbidden", "get": "forbidden"}


def test_an_entry_without_methods() -> None:
    found = rule(**lists([{"path": "/none", "method_actions": {}}], [{"path": "/all", "method_actions": None}], extended=True))
    assert [verdict(found, "/none"), verdict(found, "/all")] == ["pass", "forbidden"]


@pytest.mark.parametrize("place", ["ignored", "black", "white"])
def test_a_reply_answers_in_whatever_list_it_stands(place: str) -> None:
    action = reply("/mock", "POST", code=418, data='{"100%": "ü"}', headers={"X-A": "1", "content-TYPE": "application/json"})
    found = rule(**lists(extended=True, **{place: [action]}))
    answer = ask(found, exchange("POST", "/api/mock"))
    assert isinstance(answer, Reply)
    assert (answer.status, answer.body) == (418, '{"100%": "ü"}'.encode())
    assert answer.headers == [(b"X-A", b"1"), (b"content-TYPE", b"application/json")]


def test_replies_do_not_share_their_headers() -> None:
    found = rule(**lists([reply("/mock", data="x")], extended=True))
    first = ask(found, exchange("GET", "/api/mock"))
    assert first is not None
    first.headers.append((b"X-Request-Id", b"1"))
    second = ask(found, exchange("GET", "/api/mock"))
    assert second is not None
    assert second.headers == [(b"Content-Type", b"text/plain; charset=utf-8")]


@pytest.mark.parametrize("code", [204, 304])
def test_replies_that_have_no_body(code: int) -> None:
    answer = ask(rule(**lists([reply("/mock", code=code, data="x")], extended=True)), exchange("GET", "/api/mock"))
    assert answer is not None
    assert answer.body == b""


def test_patterns_are_searched_in_the_path_below_the_listen_path() -> None:
    found = rule(**lists(black=["^/admin", "/users/{id}/secret$", "/api"]))
    assert verdict(found, "/admin/x") == "forbidden"
    assert verdict(found, "/x/admin") == "pass"
    assert verdict(found, "/v/users/7/secret") == "forbidden"
    assert verdict(found, "/users/7/8/secret") == "pass"
    assert verdict(found, "/") == "pass", "the listen path itself is not looked at"
    assert verdict(found, "/api") == "forbidden"


@pytest.mark.parametrize(("matching", "forbidden"), [("search", "aAbBcd"), ("prefix", "aAb"), ("exact", "a")])
def test_ways_of_matching(matching: str, forbidden: str) -> None:
    found = rule(**lists(black=["/admin"]), path_matching=matching)
    paths = {"a": "/admin", "A": "/admin/", "b": "/admin/x", "B": "/administer", "c": "/x/admin", "d": "/x/admin/y", "e": "/Admin"}
    assert "".join(name for name, path in paths.items() if verdict(found, path) == "forbidden") == forbidden


def test_case() -> None:
    found = rule(**lists(black=[entry("/admin", "GET"), entry("/other", "GET", ignore_case=True)], extended=True))
    assert [verdict(found, path) for path in ("/Admin", "/OTHER", "/other")] == ["pass", "forbidden", "forbidden"]


@pytest.mark.parametrize(
    "path",
    ["/secret/file", "/secret%2Ffile", "/secret%2ffile", "//secret//file", "/x/../secret/file", "/x/%2e%2e/secret/file", "/%73ecret/file",
     "/./secret/./file", "/secret/%66ile", "/x%2F..%2Fsecret/file", "/secret%5Cfile", "/secret\\file", "/x%5C..%2Fsecret%5Cfile"],
)  # fmt: skip
def test_a_closed_path_is_closed_however_it_is_spelled(path: str) -> None:
    assert verdict(rule(**lists(black=["^/secret/file$"])), path) == "forbidden"


def test_an_open_path_does_not_open_another_reading() -> None:
    """What an upstream may take for another path needs no less than that path."""
    white = rule(**lists(white=["^/open"]))
    assert verdict(white, "/open/x") == "pass"
    assert verdict(white, "/open%2F..%2Fclosed") == "forbidden"
    assert verdict(white, "/open/a%2Fb") == "pass"
    ignored = rule(**lists(["^/open/"]))
    assert verdict(ignored, "/open/a%2Fb") == "ignored"
    assert verdict(ignored, "/open/..%2Fkeyed") == "pass"
    assert verdict(ignored, "/open/..%5Ckeyed") == "pass"
    assert verdict(ignored, "/keyed%2F..%2Fopen%2Fx") == "pass", "one reading of it is not open"
    replies = rule(**lists([entry("^/open", "GET"), reply("^/mock")], extended=True))
    assert verdict(replies, "/open%2F..%2Fmock") == "pass"


def test_letters_beyond_ascii() -> None:
    found = rule(**lists(black=["^/größe/{n}$", "100%"]))
    assert verdict(found, "/gr%C3%B6%C3%9Fe/7") == "forbidden"
    assert verdict(found, "/gr%c3%b6%c3%9fe/7") == "forbidden"
    assert verdict(found, "/größe/7") == "forbidden"
    assert verdict(found, "/gr%F6%DFe/7") == "pass", "another encoding is another path"


def test_every_version_has_its_own_lists() -> None:
    versions = {"v1": {"name": "v1", **lists(black=["/a"])}, "v2": {"name": "v2"}}
    placing = {"location": "header", "key": "v"}
    found = built(path_lists, ports(), version_data={"versions": versions}, definition=placing)
    refusal(found, exchange("GET", "/api/a", version="v1"), ENDPOINT_FORBIDDEN)
    assert ask(found, exchange("GET", "/api/a", version="v2")) is None


def test_a_refusal_says_which_list_of_which_version() -> None:
    def why(found: Any, path: str, version: str = "Default") -> str | None:
        return refusal(found, exchange("GET", f"/api{path}", version=version), ENDPOINT_FORBIDDEN).detail

    only = rule(**lists(black=["/b"], white=["/w"]))
    assert why(only, "/b") == "The black list of the API closes this path for this method."
    assert why(only, "/x") == "The white list of the API has no entry for this path with this method."
    assert why(only, "/w%2Fx/../../b") == why(only, "/b")
    versions = {"v1": {"name": "v1", **lists(black=["/b"])}, "v2": {"name": "v2", **lists(white=["/w"])}}
    placing = {"location": "header", "key": "v"}
    two = built(path_lists, ports(), version_data={"versions": versions}, definition=placing)
    assert why(two, "/b", "v1") == "The black list of the version `v1` closes this path for this method."
    assert why(two, "/b", "v2") == "The white list of the version `v2` has no entry for this path with this method."
    assert why(two, "/w%2F..%2Fb", "v1") == why(two, "/b", "v1"), "the strictest of its readings decides"


VERSION = "/version_data/versions/Default"


def extended(*, name: str = "white_list", **entry: Any) -> dict[str, Any]:
    return {"use_extended_paths": True, "extended_paths": {name: [{"path": "/a", **entry}]}}


def action(**fields: Any) -> dict[str, Any]:
    return extended(method_actions={"GET": {"action": "reply", "code": 200, **fields}})


ACTION = "/extended_paths/white_list/0/method_actions/GET"


def read(**version: Any) -> Lists:
    """The lists of a version."""
    found = spec(path_lists, version=version)
    return Lists() if found is None else found.versions[0][1]


def wrong(**version: Any) -> list[str]:
    """Where a version has mistakes, below the version."""
    return [pointer.removeprefix(VERSION) for pointer in mistakes(path_lists, version=version)]


def test_legacy_lists() -> None:
    found = read(paths={"ignored": ["/i"], "white_list": ["/w", "/w2"], "black_list": ["/b"]}, extended_paths={"white_list": "not read"})
    assert found == Lists((PathEntry("/i"),), (PathEntry("/b"),), (PathEntry("/w"), PathEntry("/w2")))


def test_extended_lists() -> None:
    reply = {"action": "reply", "code": 418, "data": "x", "headers": {"X-A": " b "}}
    ignored = {"path": "/i", "method_actions": {"GET": {"action": "no_action", "code": 999, "data": 5, "headers": None}, "POST": reply}}
    found = read(
        use_extended_paths=True,
        paths={"white_list": 5},
        extended_paths={"ignored": [ignored], "black_list": [{"path": "/b", "ignore_case": True}], "white_list": None},
    )
    actions = {"GET": MethodAction("no_action", 200, "", ()), "POST": MethodAction("reply", 418, "x", (("X-A", "b"),))}
    assert found == Lists((PathEntry("/i", actions),), (PathEntry("/b", None, True),), ())


def test_an_entry_that_is_switched_off_is_left_out() -> None:
    assert read(**extended(disabled=True, method_actions={"GET": {"action": "no_action"}})) == Lists()


@pytest.mark.parametrize(("given", "expected"), [(None, None), ({}, {})])
def test_no_methods(given: Any, expected: Any) -> None:
    """null is every method, as in the legacy lists; empty is none."""
    assert read(**extended(method_actions=given)).white == (PathEntry("/a", expected),)


@pytest.mark.parametrize(
    ("fields", "pointers"),
    [
        (action(action="redirect"), [f"{ACTION}/action"]),
        (extended(method_actions={"GET": {}}), [f"{ACTION}/action"]),
        (extended(method_actions={"get": {"action": "no_action"}}), ["/extended_paths/white_list/0/method_actions/get"]),
        (extended(method_actions={"G T": {"action": "no_action"}}), ["/extended_paths/white_list/0/method_actions/G T"]),
        (extended(method_actions=["GET"]), ["/extended_paths/white_list/0/method_actions"]),
        (extended(method_actions={"GET": "no_action"}), [ACTION, f"{ACTION}/action"]),
        (action(code=0), [f"{ACTION}/code"]),
        (action(code=199), [f"{ACTION}/code"]),
        (action(code=600), [f"{ACTION}/code"]),
        (action(code="200"), [f"{ACTION}/code"]),
        (action(data={"a": 1}), [f"{ACTION}/data"]),
        (
            action(headers={"a b": "c", "a": "b\n", "Content-Length": "5", "c": 5}),
            [f"{ACTION}/headers/{name}" for name in ("a b", "a", "Content-Length", "c")],
        ),
        (extended(path="("), ["/extended_paths/white_list/0/path"]),
        (extended(path=""), ["/extended_paths/white_list/0/path"]),
        (extended(path=None), ["/extended_paths/white_list/0/path"]),
        ({"paths": {"ignored": ["/a", "[", 5, ""]}}, ["/paths/ignored/2", "/paths/ignored/1", "/paths/ignored/3"]),
        ({"paths": {"black_list": "/a"}}, ["/paths/black_list"]),
        ({"path_matching": "regex"}, ["/path_matching"]),
        ({"use_extended_paths": 1}, ["/use_extended_paths"]),
        ({"use_extended_paths": True, "extended_paths": []}, ["/extended_paths"]),
    ],
)
def test_mistakes(fields: dict[str, Any], pointers: list[str]) -> None:
    assert wrong(**fields) == pointers


@pytest.mark.parametrize("code", [200, 299, 418, 599])
def test_statuses_of_replies(code: int) -> None:
    (entry,) = read(**action(code=code)).white
    assert entry.method_actions is not None
    assert entry.method_actions["GET"].code == code


def test_todays_form_of_one_method() -> None:
    """Read as one for every method it would open, or close, more than was asked for."""
    (entry,) = read(**extended(method="GET")).white
    assert entry == PathEntry("/a", {"GET": MethodAction("no_action", 200, "", ())})
    (entry,) = read(**extended(method="GET", method_actions={"POST": {"action": "no_action"}})).white
    assert list(entry.method_actions or ()) == ["POST"]
    assert read(**extended(method="")).white == (PathEntry("/a"),)
    assert wrong(**extended(method="get")) == ["/extended_paths/white_list/0/method"]


def test_a_version_without_regard_to_case() -> None:
    paths = {"black_list": [{"path": "/b"}, {"path": "/c", "ignore_case": False}]}
    found = read(ignore_endpoint_case=True, use_extended_paths=True, extended_paths=paths)
    assert found.black == (PathEntry("/b", None, True), PathEntry("/c", None, True))
    assert read(ignore_endpoint_case=True, paths={"black_list": ["/b"]}).black == (PathEntry("/b", None, True),)
