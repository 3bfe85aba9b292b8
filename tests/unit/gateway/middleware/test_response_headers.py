"""Header fields of the upstream's answers, set and removed."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.compiler import lint
from services.gateway.exchange import Exchange, ResponseHead
from services.gateway.middleware import response_headers
from tests.unit.gateway.exchanges import built, definition, exchange, mistakes, ports

INJECTOR = {"name": "header_injector", "options": {"add_headers": {"X-Injected": "1"}, "remove_headers": ["X-Leak"]}}


def rule(*entries: dict[str, Any], processors: list[Any] | None = None, **version: Any) -> Any:
    paths = {"transform_response_headers": [{"path": "/", **entry} for entry in entries]}
    version = {"use_extended_paths": True, "extended_paths": paths, **version}
    return built(response_headers, ports(), version=version, response_processors=processors or [])


def answered(rule: Any, asked: Exchange, **fields: str) -> dict[str, str]:
    head = ResponseHead(200, b"OK", [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()])
    rule.on_response(asked, head)
    return {name.decode(): value.decode() for name, value in head.headers}


def test_without_rules_it_is_not_in_the_chain() -> None:
    assert rule() is None
    assert rule(processors=[{"name": "header_injector"}, {"name": "response_body_transform", "options": {}}]) is None
    assert rule(processors=[{"name": "header_transform", "options": {"rev_proxy_header_cleanup": {"headers": []}}}]) is None
    assert rule({"add_headers": {}}) is None
    assert rule({"add_headers": {"a": "b"}}, use_extended_paths=False) is None
    assert rule(global_response_headers={"a": "b"}, global_response_headers_disabled=True, processors=[INJECTOR]) is None


def test_the_path_first_then_the_version_then_the_injector() -> None:
    every = rule(
        {
            "path": "^/one",
            "method": "GET",
            "add_headers": {"X-One": "path", "X-Two": "path", "X-Leak": "path"},
            "delete_headers": ["server"],
        },
        global_response_headers={"X-Two": "version", "X-Injected": "version"},
        global_response_headers_remove=["X-Gone"],
        processors=[INJECTOR],
    )
    kept = {"Etag": "e", "X-One": "path", "X-Two": "version", "X-Injected": "1"}
    assert answered(every, exchange("GET", "/api/one"), Server="s", Etag="e", X_Gone="g", X_One="upstream") == kept
    found = answered(every, exchange("GET", "/api/two"), Server="s", X_Leak="l")
    assert found == {"Server": "s", "X-Two": "version", "X-Injected": "1"}


def test_the_lists_count_without_a_processor() -> None:
    assert answered(rule({"add_headers": {"X": "$tyk_context.path"}}), exchange("GET", "/api/a")) == {"X": "/api/a"}


def test_the_path_and_the_method_are_those_of_the_client() -> None:
    asked = exchange("GET", "/api/one")
    asked.upstream_path, asked.upstream_method = "/elsewhere", "POST"
    assert answered(rule({"path": "^/one", "method": "GET", "add_headers": {"X": "1"}}), asked) == {"X": "1"}


def test_what_no_rule_matches_stays_as_it_is() -> None:
    only = rule({"path": "^/one", "add_headers": {"X": "1"}})
    assert answered(only, exchange("GET", "/api/two"), A="1") == {"A": "1"}
    assert answered(only, exchange("GET", "/api/one", version="other"), A="1") == {"A": "1"}


def test_a_name_with_an_underscore_is_another_name_in_an_answer() -> None:
    assert answered(rule({"add_headers": {"X_A": "1"}}), exchange(), X_A="2") == {"X-A": "2", "X_A": "1"}


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Connection", "Via", "X-Request-Id", "a b"])
def test_what_the_gateway_says_itself_is_a_mistake(name: str) -> None:
    place = "/version_data/versions/Default/extended_paths/transform_response_headers/0"
    entry = {"path": "/", "add_headers": {name: "1"}, "delete_headers": [name]}
    version = {"use_extended_paths": True, "extended_paths": {"transform_response_headers": [entry]}}
    assert mistakes(response_headers, version=version) == [f"{place}/delete_headers/0", f"{place}/add_headers/{name}"]


@pytest.mark.parametrize(
    ("processor", "place"),
    [
        ({"name": "header_injector", "options": {"add_headers": {"TE": "1"}}}, "/options/add_headers/TE"),
        ({"name": "header_injector", "options": {"remove_headers": "all"}}, "/options/remove_headers"),
        ("header_injector", ""),
    ],
)
def test_processors_that_are_wrong(processor: Any, place: str) -> None:
    assert mistakes(response_headers, response_processors=[processor]) == [f"/response_processors/0{place}"]


@pytest.mark.parametrize(
    ("name", "scripts", "warned"),
    [
        ("header_injector", [], False),
        ("header_transform", [], False),
        ("response_body_transform", [], False),
        ("custom_mw_res_hook", [], True),
        ("custom_mw_res_hook", [{"name": "a", "path": "a.js"}], False),
        ("goplugin_res_hook", [], True),
    ],
)
def test_a_processor_that_does_nothing_is_warned_of(name: str, scripts: list[Any], warned: bool) -> None:
    found = lint(definition(response_processors=[{"name": name}], custom_middleware={"response": scripts}))
    assert [one.pointer for one in found] == (["/response_processors/0/name"] if warned else [])
