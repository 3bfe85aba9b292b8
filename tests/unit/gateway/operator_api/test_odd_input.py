"""Odd values in every place of every call: a clear answer below 500, on both databases."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from services.gateway.operator_api import answers
from services.gateway.stores.events import Outbox

# A NUL, half of a surrogate pair, no UTF-8, a long text, numbers out of range, wildcards, quotes, dots.
ODD = ("%00", "%ED%A0%80", "%FF", "x" * 5000, "9" * 20, "4294967296", "-9", "%25_%5C", "'%22;--", "..%2F..")
QUERY = ("p", "page_size", "q", "hook_id", "api_id", "filter", "state", "against", "suppress_reset", "hashed", "all")


@pytest.fixture
def routes(operator: Any) -> list[tuple[str, str]]:
    """Every call: method and rule. There is an API, and an outbox."""
    operator.gateway.events = SimpleNamespace(outbox=Outbox(operator.gateway.definitions._database), wake=lambda: None)
    operator.new_api()
    rules = operator.app.url_map.iter_rules()
    return sorted((method, rule.rule) for rule in rules for method in rule.methods & {"GET", "POST", "PUT", "DELETE"})


@pytest.mark.slow
def test_in_the_path_and_in_the_query(operator: Any, routes: list[tuple[str, str]]) -> None:
    assert len(routes) > 20
    for value in ODD:
        query = "&".join(f"{name}={value}" for name in QUERY)
        for method, rule in routes:
            for path in (re.sub(r"<[^>]*>", value, rule), f"{_known(rule)}?{query}"):
                answer = operator.call(method, path, None if method == "GET" else b"{}")
                assert answer.status_code < 500, f"{method} {path[:200]}"


def test_in_the_body(operator: Any, routes: list[tuple[str, str]]) -> None:
    for body in (b"", b"[]", b"5", b'{"a": 1}', b"\xff", b'{"api_definition": [], "hook_references": {}}'):
        for method, rule in routes:
            if method != "GET":
                assert operator.call(method, _known(rule), body).status_code < 500, f"{method} {rule} {body!r}"


def _known(rule: str) -> str:
    """A route with names that exist where they can."""
    return re.sub(r"<[^>]*>", "one", re.sub(r"<int:[^>]*>", "1", rule))


def test_a_nul_is_told_to_who_may_know(operator: Any, routes: list[tuple[str, str]]) -> None:
    places = (
        "/api/apis/%00",
        "/api/keys/a%00",
        "/tyk/keys/%00",
        "/tyk/keys?api_id=%00",
        *(f"/api/keys?{name}=%00" for name in ("alias", "q", "tag", "owner", "api_id", "org_id", "policy")),
        "/api/gatehouse/deliveries/%00",
        "/api/apis/search?q=%00",
    )
    answers = [operator.call("GET", path) for path in places]
    assert [answer.status_code for answer in answers] == [400] * len(places)
    assert all("NUL" in answer.text for answer in answers)
    operator.headers = {}
    assert {operator.call("GET", path).status_code for path in places} == {401, 403}


def test_revisions_that_no_column_holds(operator: Any) -> None:
    id = operator.new_api()
    for number in ("0", "4294967296", "9" * 30):
        operator.json("GET", f"/api/gatehouse/apis/{id}/revisions/{number}", status=404)
        operator.json("POST", f"/api/gatehouse/apis/{id}/revisions/{number}/restore", status=404)
    operator.json("GET", f"/api/gatehouse/apis/{id}/revisions/1?against=4294967296", status=400)
    operator.json("GET", f"/api/gatehouse/apis/{id}/revisions/1?against=999999999", status=404)


def test_calls_that_do_not_exist_are_told_in_the_shape_of_their_api(operator: Any) -> None:
    """The application's own errors, which no route sees."""
    with operator.app.test_request_context("/tyk/org/keys/acme"):
        missing, wrong = answers.error(404, "not found", "not-found"), answers.error(405, "method not allowed", "method-not-allowed")
    assert "docs/operating.md" in missing.get_json()["message"]
    assert wrong.get_json()["message"] == "Method not supported", "Tyk's words"
    with operator.app.test_request_context("/api/users"):
        body = answers.error(404, "not found", "not-found").get_json()
    assert (body["Status"], body["Meta"]) == ("Error", None)
    assert "docs/operating.md" in body["Message"]
