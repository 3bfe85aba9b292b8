"""Logs: one JSON object a line, joined by service and request id; no secret in it, however it came there."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.common import logging as logs
from services.common import request_id


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    request_id.enter(None)


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_one_json_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("example", colour=False)
    request_id.enter("r1")
    logs.get("a.b").info("first\nsecond", count=3, who="Zoë")
    (line,) = _lines(capsys)
    assert line.pop("time").endswith("Z")
    assert line == {
        "service": "example",
        "event": "first\nsecond",
        "count": 3,
        "who": "Zoë",
        "request_id": "r1",
        "level": "info",
        "logger": "a.b",
    }


def test_the_standard_library_s_loggers_write_alike(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("example", colour=False)
    logging.getLogger("gunicorn.error").warning("worker %d went", 7)
    (line,) = _lines(capsys)
    assert (line["event"], line["level"], line["service"]) == ("worker 7 went", "warning", "example")


def test_an_exception_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("example", colour=False)
    try:
        raise ValueError("odd")
    except ValueError:
        logs.get("x").exception("failed")
    (line,) = _lines(capsys)
    assert "ValueError: odd" in line["exception"]


def test_the_level_holds(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("example", "WARNING", colour=False)
    logs.get("x").info("quiet")
    assert _lines(capsys) == []


@pytest.mark.parametrize(
    "event",
    [
        {"password": "hunter2"},
        {"Authorization": "hunter2"},
        {"api_key": "hunter2"},
        {"jwt_secret": "hunter2"},
        {"headers": {"Cookie": "hunter2", "Accept": "*/*"}},
        {"url": "postgresql://user:hunter2@db/x"},
        {"error": "cannot reach redis://:hunter2@host:6379/0 now"},
        {"seen": ["Bearer hunter2.hunter2"]},
        {"nested": {"deep": [{"token": "hunter2"}]}},
    ],
    ids=str,
)
def test_no_secret_is_written(event: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("example", colour=False)
    logs.get("x").warning("look", **event)
    written = capsys.readouterr().err
    assert "hunter2" not in written
    assert logs.MASK in written


def test_ids_are_no_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("example", colour=False)
    logs.get("x").info("stored", token_id=5, kid="k1")
    (line,) = _lines(capsys)
    assert (line["token_id"], line["kid"]) == (5, "k1")


def test_for_a_terminal_the_same_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("example", colour=True)
    try:
        raise ValueError("odd")
    except ValueError:
        logs.get("x").exception("failed", count=3, password="hunter2")
    written = capsys.readouterr().err
    assert "failed" in written and "count\x1b[0m=3" in written and "ValueError: odd\n" in written
    assert "hunter2" not in written


def test_what_is_no_json_is_written_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("example", colour=False)
    logs.get("x").info("odd values", path=Path("/a"), seen={1, 2})
    (line,) = _lines(capsys)
    assert "/a" in line["path"]


def test_a_library_s_malformed_message_is_not_lost(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("example", colour=False)
    logging.getLogger("library").warning("%d of them", "some")
    (line,) = _lines(capsys)
    assert "of them" in line["event"] and "some" in line["event"]
