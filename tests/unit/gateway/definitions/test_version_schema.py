"""One version of an API: its lists in both forms, replies, times and sizes, and every mistake at its place."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.definitions.model import HardTimeout, MethodAction, PathEntry, PathLists, SizeLimit, Version
from services.gateway.definitions.reader import Reader, Report
from services.gateway.definitions.version_schema import parse_version


def version(**fields: Any) -> Version:
    report = Report()
    found = parse_version("v1", Reader({"name": "v1", **fields}, "", report))
    assert report.mistakes == []
    return found


def wrong(**fields: Any) -> list[str]:
    report = Report()
    parse_version("v1", Reader({"name": "v1", **fields}, "", report))
    assert all(mistake.message for mistake in report.mistakes)
    return [mistake.pointer for mistake in report.mistakes]


def extended(*, name: str = "white_list", **entry: Any) -> dict[str, Any]:
    return {"use_extended_paths": True, "extended_paths": {name: [{"path": "/a", **entry}]}}


def action(**fields: Any) -> dict[str, Any]:
    return extended(method_actions={"GET": {"action": "reply", "code": 200, **fields}})


ACTION = "/extended_paths/white_list/0/method_actions/GET"


def test_an_empty_version() -> None:
    assert version() == Version("v1")


@pytest.mark.parametrize("name", ["", "V1", "v1 ", None])
def test_the_key_is_its_name(name: str | None) -> None:
    assert version(name=name) == Version("v1")


@pytest.mark.parametrize(("given", "expected"), [("", None), ("-1", None), ("1970-01-02 00:00", 86_400)])
def test_ends(given: str, expected: float | None) -> None:
    assert version(expires=given).expires == expected


def test_an_end_that_cannot_be_read_is_a_mistake() -> None:
    assert wrong(expires="tomorrow") == ["/expires"]


def test_legacy_lists() -> None:
    found = version(paths={"ignored": ["/i"], "white_list": ["/w", "/w2"], "black_list": ["/b"]}, extended_paths={"white_list": "not read"})
    assert found.lists == PathLists((PathEntry("/i"),), (PathEntry("/b"),), (PathEntry("/w"), PathEntry("/w2")))


def test_extended_lists() -> None:
    reply = {"action": "reply", "code": 418, "data": "x", "headers": {"X-A": " b "}}
    ignored = {"path": "/i", "method_actions": {"GET": {"action": "no_action", "code": 999, "data": 5, "headers": None}, "POST": reply}}
    found = version(
        use_extended_paths=True,
        paths={"white_list": 5},
        extended_paths={"ignored": [ignored], "black_list": [{"path": "/b", "ignore_case": True}], "white_list": None},
    )
    actions = {"GET": MethodAction("no_action", 200, "", ()), "POST": MethodAction("reply", 418, "x", (("X-A", "b"),))}
    assert found.lists == PathLists((PathEntry("/i", actions),), (PathEntry("/b", None, True),), ())


def test_an_entry_that_is_switched_off_is_left_out() -> None:
    assert version(**extended(disabled=True, method_actions={"GET": {"action": "no_action"}})).lists == PathLists()


@pytest.mark.parametrize(("given", "expected"), [(None, None), ({}, {})])
def test_no_methods(given: Any, expected: Any) -> None:
    """null is every method, as in the legacy lists; empty is none."""
    assert version(**extended(method_actions=given)).lists.white == (PathEntry("/a", expected),)


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
        ({"global_size_limit": -1}, ["/global_size_limit"]),
        ({"use_extended_paths": 1}, ["/use_extended_paths"]),
        ({"use_extended_paths": True, "extended_paths": []}, ["/extended_paths"]),
    ],
)
def test_mistakes(fields: dict[str, Any], pointers: list[str]) -> None:
    assert wrong(**fields) == pointers


@pytest.mark.parametrize("code", [200, 299, 418, 599])
def test_statuses_of_replies(code: int) -> None:
    (entry,) = version(**action(code=code)).lists.white
    assert entry.method_actions is not None
    assert entry.method_actions["GET"].code == code


def test_todays_form_of_one_method() -> None:
    """Read as one for every method it would open, or close, more than was asked for."""
    (entry,) = version(**extended(method="GET")).lists.white
    assert entry == PathEntry("/a", {"GET": MethodAction("no_action", 200, "", ())})
    (entry,) = version(**extended(method="GET", method_actions={"POST": {"action": "no_action"}})).lists.white
    assert list(entry.method_actions or ()) == ["POST"]
    assert version(**extended(method="")).lists.white == (PathEntry("/a"),)
    assert wrong(**extended(method="get")) == ["/extended_paths/white_list/0/method"]


def test_a_version_without_regard_to_case() -> None:
    paths = {"black_list": [{"path": "/b"}, {"path": "/c", "ignore_case": False}]}
    found = version(ignore_endpoint_case=True, use_extended_paths=True, extended_paths=paths)
    assert found.lists.black == (PathEntry("/b", None, True), PathEntry("/c", None, True))
    assert found.ignore_endpoint_case
    assert version(ignore_endpoint_case=True, paths={"black_list": ["/b"]}).lists.black == (PathEntry("/b", None, True),)


def test_times_and_sizes_that_are_switched_off() -> None:
    paths = {"hard_timeouts": [{"disabled": True, "timeout": 0}], "size_limits": [{"disabled": True, "path": "/a", "size_limit": 5}]}
    found = version(use_extended_paths=True, extended_paths=paths)
    assert (found.hard_timeouts, found.size_limits) == ((), ())


def test_times_and_sizes() -> None:
    paths = {
        "hard_timeouts": [{"path": "/a", "method": "GET", "timeout": 0.5}, {"path": "/b", "timeout": 90}],
        "size_limits": [{"path": "/a", "method": "POST", "size_limit": 5}, {"path": "/b", "method": None, "size_limit": 6}],
    }
    found = version(use_extended_paths=True, extended_paths=paths, global_size_limit=7, path_matching="exact")
    assert found.hard_timeouts == (HardTimeout("/a", "GET", 0.5), HardTimeout("/b", "", 90.0))
    assert found.size_limits == (SizeLimit("/a", "POST", 5), SizeLimit("/b", "", 6))
    assert (found.global_size_limit, found.path_matching) == (7, "exact")
    assert version(extended_paths=paths).hard_timeouts == ()
    assert version(global_size_limit=7, global_size_limit_disabled=True).global_size_limit == 0


@pytest.mark.parametrize(
    ("paths", "pointer"),
    [
        ({"hard_timeouts": [{"path": "/a", "timeout": 0}]}, "/extended_paths/hard_timeouts/0/timeout"),
        ({"hard_timeouts": [{"path": "/a", "timeout": -1}]}, "/extended_paths/hard_timeouts/0/timeout"),
        ({"hard_timeouts": [{"path": "/a"}]}, "/extended_paths/hard_timeouts/0/timeout"),
        ({"hard_timeouts": [{"path": "/a", "timeout": 1, "method": "get"}]}, "/extended_paths/hard_timeouts/0/method"),
        ({"hard_timeouts": [{"path": "(", "timeout": 1}]}, "/extended_paths/hard_timeouts/0/path"),
        ({"size_limits": [{"path": "/a", "size_limit": 0}]}, "/extended_paths/size_limits/0/size_limit"),
        ({"size_limits": [{"path": "/a", "size_limit": 1.5}]}, "/extended_paths/size_limits/0/size_limit"),
        ({"size_limits": [{"size_limit": 5}]}, "/extended_paths/size_limits/0/path"),
        ({"size_limits": [5]}, "/extended_paths/size_limits/0"),
    ],
)
def test_times_and_sizes_that_are_wrong(paths: dict[str, Any], pointer: str) -> None:
    assert pointer in wrong(use_extended_paths=True, extended_paths=paths)


def test_one_mistake_is_said_once() -> None:
    for paths in ({"hard_timeouts": [{"path": "/a", "timeout": -1}]}, {"size_limits": [{"path": "/a", "size_limit": -1}]}):
        assert len(wrong(use_extended_paths=True, extended_paths=paths)) == 1
