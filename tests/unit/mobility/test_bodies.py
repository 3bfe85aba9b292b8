"""Bodies of requests: how large they may be, how many at once, and what U+0000 in them is."""

from __future__ import annotations

import gc
import io
import json
from typing import Any

import pytest
from flask import request

from services.mobility import web
from services.mobility.web import BODY_LIMIT, SMALL_BODY_LIMIT
from services.mobility.wiring import LARGE_BODIES
from tests.unit.mobility.conftest import API, STATION, A, good, refused

RECORD = f"/{STATION}/a.rail"
LOGIN_LIMIT = 16 * 1024


def body(size: int) -> str:
    """A bulk of nothing, with spaces behind it. size: bytes."""
    return json.dumps({"nodes": []}).ljust(size)


@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [
        ("PUT", "/nodes/a.rail", BODY_LIMIT),
        ("PUT", RECORD, SMALL_BODY_LIMIT),
        ("PUT", "/layers", SMALL_BODY_LIMIT),
        ("PUT", "/layer/a.rail", SMALL_BODY_LIMIT),
        ("PUT", "/layer/a.rail/status", SMALL_BODY_LIMIT),
        ("POST", "/get_session", LOGIN_LIMIT),
    ],
)
def test_what_is_too_large_is_refused_and_renews_the_session(sqlite_api: API, method: str, path: str, limit: int) -> None:
    good(sqlite_api.delete(RECORD))  # the session's minute begins
    key = {"X-Auth": sqlite_api.key(A)}
    message = f"The body has more than {limit:,} bytes. Send less at a time."
    for _ in range(2 if path not in ("/layers", "/get_session") else 1):
        sqlite_api.clock.move(50)
        refused(sqlite_api.send(method, path, headers=key, data=body(limit + 1)), 413, message)
    assert sqlite_api.send(method, path, headers=key, data=body(limit)).status_code in (200, 401, 422)


def test_a_body_whose_length_is_not_said_before_has_the_same_limit(sqlite_api: API) -> None:
    for size, status in ((LOGIN_LIMIT, 401), (LOGIN_LIMIT + 1, 413)):
        stream = io.BytesIO(b'{"e": "x", "p": "y"}'.ljust(size))
        options: dict[str, Any] = {"input_stream": stream, "environ_overrides": {"wsgi.input_terminated": True}}
        assert sqlite_api.send("POST", "/get_session", **options).status_code == status


def test_a_form_that_is_too_large_is_no_login(sqlite_api: API) -> None:
    answer = sqlite_api.send("POST", "/get_session", data={"e": "x" * LOGIN_LIMIT, "p": "x"})
    refused(answer, 413, "The body has more than 16,384 bytes. Send less at a time.")


def test_the_largest_record_has_room_however_it_is_written(sqlite_api: API) -> None:
    letters = 100_000 - len('{"k":""}')
    good(sqlite_api.put(RECORD, by=A, data='{"data":{"k":"' + "\\u0061" * letters + '"}}'))
    good(sqlite_api.delete(RECORD))


def test_large_bodies_wait_for_a_place(sqlite_api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "PLACE_S", 0.0)
    places = sqlite_api.parts.large_bodies
    for _ in range(LARGE_BODIES):
        assert places.acquire(blocking=False)
    answer = sqlite_api.put("/nodes/a.rail", data=body(SMALL_BODY_LIMIT + 1))
    refused(answer, 503, "Too many large requests are at work; try again.")
    assert answer.headers["Retry-After"] == "2"
    good(sqlite_api.put("/nodes/a.rail", data=body(SMALL_BODY_LIMIT)))
    places.release()
    for text in (body(SMALL_BODY_LIMIT + 1), "{".ljust(SMALL_BODY_LIMIT + 1)) * 2:  # each gives its place back
        assert sqlite_api.put("/nodes/a.rail", data=text).status_code in (200, 422)
    for _ in range(LARGE_BODIES - 1):
        places.release()


def test_a_bulk_that_waits_for_the_database_has_no_place(sqlite_api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its body is read, and takes little memory from then on."""
    places = sqlite_api.parts.large_bodies
    run = sqlite_api.parts.database.run
    free: list[bool] = []

    def watched(*given: Any, **options: Any) -> Any:
        free.append(places.acquire(blocking=False))
        if free[-1]:
            places.release()
        return run(*given, **options)

    key = {"X-Auth": sqlite_api.key(A)}
    monkeypatch.setattr(sqlite_api.parts.database, "run", watched)
    good(sqlite_api.put("/nodes/a.rail", None, None, headers=key, data=body(SMALL_BODY_LIMIT + 1)))
    assert free == [True]


@pytest.mark.parametrize(("escaped", "value"), [(r"\\u0000", r"\u0000"), (r"\\\\u0000", r"\\u0000"), (r"\"\\u0000", r'"\u0000')])
def test_an_escaped_backslash_begins_no_nul(sqlite_api: API, escaped: str, value: str) -> None:
    good(sqlite_api.put(RECORD, data=f'{{"data":{{"x":"{escaped}"}}}}'))
    assert good(sqlite_api.get(f"{RECORD}/x"))["results"] == {"x": value}


@pytest.mark.parametrize("escaped", [r"\u0000", r"a\u0000", r"\\\u0000", r"\\u0000\u0000", r"\n\u0000"])
def test_nul_is_refused(sqlite_api: API, escaped: str) -> None:
    answer = sqlite_api.put(RECORD, data=f'{{"data":{{"x":"{escaped}"}}}}')
    refused(answer, 422, "Error parsing JSON - the body holds the character U+0000, which the database does not")


def test_a_long_body_is_read_without_collections_of_garbage(sqlite_api: API) -> None:
    """They looked at all that was read so far again and again: 2 s of 10 MiB, while every other thread of the process waited."""
    seen: list[str] = []

    def note(phase: str, info: dict[str, Any]) -> None:
        seen.append(phase)

    content = b'{"a":[' + b"[]," * 200_000 + b"[]]}"
    with sqlite_api.app.test_request_context("/nodes/a.rail", method="PUT", data=content):
        request.get_data()
        gc.collect()
        gc.callbacks.append(note)
        try:
            web._decoded(content)
        finally:
            gc.callbacks.remove(note)
    assert len(seen) <= 2  # the one that was due when it came on again
    assert gc.isenabled()
