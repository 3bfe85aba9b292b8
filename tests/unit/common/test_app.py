"""The base application: a request id on every answer, every error in the service's shape, no stack trace, health apart from readiness."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, Response, abort, request
from marshmallow import ValidationError

from services.common import openapi
from services.common.app import create_app
from services.common.documented import Blueprint
from services.common.readiness import NotReady
from services.common.refusal import Refusal
from tests.support.log_lines import captured


def _shout(status: int, message: str, code: str, fields: Mapping[str, Any] | None) -> Response:
    return Response(f"{status} {message.upper()} {code}", status, mimetype="text/plain")


def _application(**options: Any) -> Flask:
    app = create_app("example", version="1", body_limit=100, **options)

    @app.post("/echo")
    def echo() -> Response:
        return Response(request.get_data())

    @app.get("/refused")
    def refused() -> Response:
        raise Refusal(409, "taken already", fields={"name": ["is taken"]}, headers={"Retry-After": "3"})

    @app.get("/invalid")
    def invalid() -> Response:
        raise ValidationError({"name": ["must be short"]})

    @app.get("/broken")
    def broken() -> Response:
        raise RuntimeError("the password is hunter2")

    @app.get("/away")
    def away() -> Response:
        raise sa.exc.OperationalError("SELECT 1", {}, Exception("connection to postgresql://u:hunter2@db refused"))

    @app.get("/ready-made")
    def ready_made() -> Response:
        abort(Response("exactly this", 418))

    return app


@pytest.mark.parametrize(("length", "status"), [(99, 200), (100, 200), (101, 413), (1000, 413)])
def test_a_body_without_a_length_is_not_cut(length: int, status: int) -> None:
    body = {"wsgi.input": io.BytesIO(b"x" * length), "wsgi.input_terminated": True}
    answer = _application().test_client().post("/echo", environ_overrides=body)
    assert answer.status_code == status
    assert answer.text == "x" * length or answer.json["code"] == "body-too-large"


CASES = [
    ("GET", "/nowhere", 404, "not found", "not-found"),
    ("DELETE", "/refused", 405, "method not allowed", "method-not-allowed"),
    ("POST", "/echo", 413, "body too large", "body-too-large"),
    ("GET", "/refused", 409, "taken already", "taken-already"),
    ("GET", "/invalid", 422, "some fields are not valid", "invalid-fields"),
    ("GET", "/broken", 500, "internal error", "internal-error"),
    ("GET", "/away", 503, "database unavailable", "database-unavailable"),
]


@pytest.mark.parametrize(("method", "path", "status", "message", "code"), CASES)
def test_errors_have_the_house_shape(method: str, path: str, status: int, message: str, code: str) -> None:
    answer = _application().test_client().open(path, method=method, data=b"x" * 101 if method == "POST" else None)
    assert answer.status_code == status
    assert answer.mimetype == "application/json"
    body = json.loads(answer.data)
    assert (body["error"], body["code"]) == (message, code)
    assert body["request_id"] == answer.headers["X-Request-Id"]
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(("method", "path", "status", "message", "code"), CASES)
def test_errors_have_the_service_s_shape(method: str, path: str, status: int, message: str, code: str) -> None:
    client = _application(render_error=_shout).test_client()
    answer = client.open(path, method=method, data=b"x" * 101 if method == "POST" else None)
    assert answer.text == f"{status} {message.upper()} {code}"
    assert len(answer.headers["X-Request-Id"]) == 16


def test_fields_and_headers_of_a_refusal_are_sent() -> None:
    answer = _application().test_client().get("/refused")
    assert json.loads(answer.data)["fields"] == {"name": ["is taken"]}
    assert answer.headers["Retry-After"] == "3"


def test_405_says_what_is_allowed() -> None:
    assert "GET" in _application().test_client().delete("/refused").headers["Allow"]


def test_a_ready_made_answer_passes_unchanged() -> None:
    answer = _application().test_client().get("/ready-made")
    assert (answer.status_code, answer.text) == (418, "exactly this")


def test_a_harmless_request_id_is_kept_and_a_strange_one_replaced() -> None:
    client = _application().test_client()
    assert client.get("/health", headers={"X-Request-Id": "abc-1.2_3"}).headers["X-Request-Id"] == "abc-1.2_3"
    for strange in ("a b", "ü", "x" * 129, '"><script>'):
        assert client.get("/health", headers={"X-Request-Id": strange}).headers["X-Request-Id"] != strange


def test_the_request_id_does_not_outlive_its_request() -> None:
    from services.common import request_id

    client = _application().test_client()
    first = client.get("/health").headers["X-Request-Id"]
    assert request_id.current() is None
    assert client.get("/health").headers["X-Request-Id"] != first


def test_a_body_within_the_limit_passes() -> None:
    assert _application().test_client().post("/echo", data=b"x" * 100).data == b"x" * 100


def test_health_says_ok_while_a_check_fails() -> None:
    app = _application()

    def away() -> None:
        raise NotReady("the queue is away")

    def odd() -> None:
        raise RuntimeError("hunter2")

    app.extensions["checks"].add("queue", away)
    app.extensions["checks"].add("odd", odd)
    client = app.test_client()
    assert client.get("/health").get_json() == {"status": "ok", "service": "example"}
    answer = client.get("/ready")
    assert answer.status_code == 503
    assert answer.get_json()["checks"] == {"queue": "the queue is away", "odd": "failed (RuntimeError)"}


def test_the_log_hears_of_each_change_of_readiness_and_not_of_each_poll() -> None:
    app = _application()
    wrong: list[Exception | None] = [
        None,
        NotReady("away"),
        NotReady("away, 2 bytes left"),
        RuntimeError("odd"),
        None,
        None,
        NotReady("away"),
    ]

    def check() -> None:
        error = wrong.pop(0)
        if error is not None:
            raise error

    app.extensions["checks"].add("store", check)
    with captured() as lines:
        while wrong:
            app.test_client().get("/ready")
    assert [(line["event"], line.get("error")) for line in lines] == [
        ("not ready", "NotReady: away"),
        ("not ready", "RuntimeError: odd"),
        ("ready again", None),
        ("not ready", "NotReady: away"),
    ]


def test_ready_without_checks() -> None:
    answer = _application().test_client().get("/ready")
    assert (answer.status_code, answer.get_json()["status"]) == (200, "ready")


def test_metrics_count_by_route_not_by_path() -> None:
    client = _application().test_client()
    for number in range(3):
        client.get(f"/nowhere/{number}")
    client.open("/health", method="BREW")
    text = client.get("/metrics").text
    assert 'http_requests_total{method="GET",route="(none)",status="404"} 3.0' in text
    assert "/nowhere/" not in text
    assert "BREW" not in text


def test_the_openapi_document_is_written_once_and_not_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    described = []
    describe = Blueprint.register_views_in_doc

    def counted(blueprint: Blueprint, *arguments: Any, **options: Any) -> None:
        described.append(blueprint.name)
        describe(blueprint, *arguments, **options)

    monkeypatch.setattr(Blueprint, "register_views_in_doc", counted)

    def everything() -> dict[str, str]:
        return {}

    app = _application()
    for name in ("trams", "buses"):
        blueprint = Blueprint(name, name, url_prefix=f"/{name}", description=f"All {name}.")
        blueprint.get("/all")(everything)
        app.extensions["api"].register_blueprint(blueprint)
    assert app.test_client().get("/buses/all").get_json() == {}
    assert described == []

    together = threading.Barrier(4)

    def ask(_: int) -> bytes:
        together.wait(30)
        return app.test_client().get("/openapi.json").data

    with ThreadPoolExecutor(4) as pool:
        (answer,) = set(pool.map(ask, range(4)))
    assert described == ["trams", "buses"]
    document = json.loads(answer)
    assert document == openapi.document(app)
    assert document["openapi"] == "3.1.0"
    assert list(document["paths"]) == ["/trams/all", "/buses/all"]
    assert document["tags"] == [{"name": "trams", "description": "All trams."}, {"name": "buses", "description": "All buses."}]


def test_a_document_that_cannot_be_written_is_an_error_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no such schema")

    monkeypatch.setattr(Blueprint, "register_views_in_doc", broken)
    app = _application()
    app.extensions["api"].register_blueprint(Blueprint("trams", "trams"))
    assert [app.test_client().get("/openapi.json").status_code for _ in range(2)] == [500, 500]
