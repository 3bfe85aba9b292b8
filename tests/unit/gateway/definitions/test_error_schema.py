"""Error templates and overrides: what their JSON becomes, and every mistake at its place."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.compiler import parse
from services.gateway.definitions.error_schema import FLAGS
from services.gateway.definitions.model import ErrorOverride
from services.gateway.definitions.reader import Mistakes
from services.gateway.refusals import REGISTRY
from tests.unit.gateway.exchanges import document


def mistakes(raw: dict[str, Any]) -> dict[str, str]:
    """What is said of a document, by place."""
    with pytest.raises(Mistakes) as wrong:
        parse(raw)
    return dict(wrong.value.mistakes)


def test_error_templates_and_overrides() -> None:
    template = {"fault": {"text": "{{.Message}}", "code": "{{ .StatusCode }}", "list": ["{{.RequestID}}", 5]}}
    found = parse(document(error_template=template, error_overrides={"quota-exceeded": {"status": 429, "message": ""}, "key-missing": {}}))
    assert found.error_template == template
    assert found.error_overrides == {"quota-exceeded": ErrorOverride(429, ""), "key-missing": ErrorOverride(None, None)}
    wrong = mistakes(
        document(
            error_template={"a": ["{{.Secret}}"]},
            error_overrides={"no-such": {}, "key-missing": {"status": 200}, "not-found": {"message": 5}},
        )
    )
    assert sorted(wrong) == [
        "/error_overrides/key-missing/status",
        "/error_overrides/no-such",
        "/error_overrides/not-found/message",
        "/error_template",
    ]


def rule(response: dict[str, Any] | None = None, **match: Any) -> dict[str, Any]:
    return {"match": match, "response": {"message": "m"} if response is None else response}


@pytest.mark.parametrize(
    ("status", "one", "place", "said"),
    [
        ("200", rule(), "", "not the status of an error"),
        ("3xx", rule(), "", "not the status of an error"),
        ("401", {"match": {}}, "/0/response", "missing"),
        ("500", rule(flag="DNS"), "/0/match/flag", "`upstream-unreachable`"),
        ("403", rule(flag="EAD"), "/0/match/flag", "no refusal of the gateway"),
        ("401", rule(flag="RLT"), "/0/match/flag", "has the status 403 or 429"),
        ("404", rule(flag="URS"), "/0/match/flag", "5xx"),
        ("4xx", rule(message_pattern="(?=a)"), "/0/match/message_pattern", "RE2"),
        ("4xx", rule(body_field="errors.#.id", body_value="1"), "/0/match/body_field", "gjson"),
        ("4xx", rule(body_field="id"), "/0/match/body_value", "belong together"),
        ("4xx", rule(body_value="id"), "/0/match/body_value", "belong together"),
        ("429", rule(flag="RLT", body_field="id", body_value="1"), "/0/match/body_field", "never match"),
        ("4xx", rule({"template": "error_401"}), "/0/response/template", "not available: bodies in files"),
        ("4xx", rule({"body": "{{.Secret}}"}), "/0/response/body", "uses Secret"),
        ("4xx", rule({"body": "{{if}}"}), "/0/response/body", "not a template"),
        ("4xx", rule({"status_code": 99}), "/0/response/status_code", "from 200 to 599"),
        ("4xx", rule({"headers": {"Content-Length": "1"}}), "/0/response/headers/Content-Length", "belongs to the connection"),
        ("4xx", rule({"headers": {"X-Request-Id": "1"}}), "/0/response/headers/X-Request-Id", "gateway's own"),
        ("4xx", rule({"statuscode": 401}), "/0/response/statuscode", "did you mean `status_code`"),
    ],
)
def test_rules_that_cannot_be_served(status: str, one: dict[str, Any], place: str, said: str) -> None:
    found = mistakes(document(error_overrides={status: [one]}))
    assert list(found) == [f"/error_overrides/{status}{place}"]
    assert said in found[f"/error_overrides/{status}{place}"]


def test_rules_are_lists() -> None:
    assert mistakes(document(error_overrides={"401": {"status": 403}})) == {
        "/error_overrides/401": "must be a list of rules: a status is given (401), and not an error code"
    }


def test_what_asks_for_no_rules() -> None:
    for overrides in ({"401": []}, {}):
        assert parse(document(error_overrides=overrides)).error_rules is None
    assert parse(document(error_overrides={"401": [rule()]}, error_overrides_disabled=True)).error_rules is None


def test_every_flag_means_codes_that_exist() -> None:
    assert {code for codes in FLAGS.values() for code in codes} <= REGISTRY.keys()
