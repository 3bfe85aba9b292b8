"""The envelope: on every answer, whatever goes wrong."""

from __future__ import annotations

import pytest

from tests.unit.devices.conftest import ACC, API, refused, result


def test_a_path_or_a_method_that_is_not_there(sqlite_api: API) -> None:
    refused(sqlite_api.get("/nope"), 404, "Not found")
    for method, path in (
        ("PATCH", "/device"), ("PATCH", "/data"), ("PUT", "/info"), ("DELETE", "/device"), ("POST", "/device/token/x/y/z/rotate"),
    ):  # fmt: skip
        answer = sqlite_api.send(method, path, ACC)
        expected = (404, "Not found") if path.startswith("/device/token") else (405, "Method not allowed")
        refused(answer, *expected)
        if answer.status_code == 405:
            assert answer.headers["Allow"]


def test_a_body_that_is_too_large(sqlite_api: API) -> None:
    large = b'{"name": "a device", "type": "mutable", "payload_decoder": "' + b"x" * 201_000 + b'"}'
    for path in ("/device", "/device/token"):
        refused(sqlite_api.send("POST", path, ACC, data=large, content_type="application/json"), 413, "Payload too large")


def test_a_fault_of_ours_says_nothing_of_itself(sqlite_api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(sqlite_api.parts.registry, "page", fail)
    answer = sqlite_api.get("/device")
    refused(answer, 500, "Internal error")
    assert "secret" not in answer.text and answer.headers["X-Request-Id"]


def test_head_and_a_slash_at_the_end(sqlite_api: API) -> None:
    made = sqlite_api.device()
    answer = sqlite_api.send("HEAD", "/info", made.token)
    assert (answer.status_code, answer.text) == (200, "")
    assert result(sqlite_api.get("/info/", made.token))["id"] == made.id
    assert result(sqlite_api.get(f"/device/{made.id}/"))["id"] == made.id
    result(sqlite_api.post("/device/", {"name": "another", "type": "mutable"}), 201)


@pytest.mark.parametrize("path", ["/device", "/info", "/device/token/x", "/nope"])
def test_any_page_may_ask(sqlite_api: API, path: str) -> None:
    asked = {"Origin": "http://page.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "token"}
    answer = sqlite_api.send("OPTIONS", path, headers=asked)
    assert (answer.status_code, answer.text, answer.headers["Access-Control-Allow-Origin"]) == (204, "", "*")
    allowed = {name.strip().lower() for name in answer.headers["Access-Control-Allow-Headers"].split(",")}
    assert {
        "content-type", "authorization", "account-token", "device-token", "token", "analysis-token", "middleware-token", "pragma",
        "cache-control", "idempotency-key",
    } <= allowed  # fmt: skip
    assert sqlite_api.get(path, None).headers["Access-Control-Allow-Origin"] == "*"


def test_answers_are_kept_by_nobody(sqlite_api: API) -> None:
    for answer in (
        sqlite_api.get("/device"),
        sqlite_api.get("/device", None),
        sqlite_api.post("/device", {"name": "a device", "type": "mutable"}),
    ):
        assert (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")


def test_half_a_character_in_a_name_that_is_wrong(sqlite_api: API) -> None:
    headers = '{"name": "hot", "type": "condition", "trigger": [], "action": {"type": "post", "url": "", "headers": {"\\ud800": 1}}}'
    wrong = refused(sqlite_api.send("POST", "/action", ACC, data=headers), 400, "Error on Body parameters")
    assert "action.headers.?.value" in wrong


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/device"), ("PUT", "/device/{}"), ("POST", "/device/token"), ("POST", "/action"), ("POST", "/device/{}/params")],
)
def test_what_is_no_json_is_refused_with_its_place(sqlite_api: API, method: str, path: str) -> None:
    answer = sqlite_api.send(
        method, path.format(sqlite_api.device().id), ACC, data='{"name": "secret",\n}', content_type="application/json"
    )
    expected = {"body": ["line 2, column 1: Expecting property name enclosed in double quotes"]}
    assert refused(answer, 400, "Error on Body parameters") == expected
