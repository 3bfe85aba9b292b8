"""Logs: one JSON object a line, joined by service and request id; no secret in it, however it came there."""

from __future__ import annotations

import json
import logging
import time
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


BODY = "0Az9" * 12 + "x"
SPELLINGS = [
    f"gh_acc_{BODY}",
    f"gh%5Facc%5F{BODY}",
    f"gh%5facc%5f{BODY}",
    f"gh%255Facc_{BODY}",
    f"%67%68_%61%63%63%5F{BODY}",
    "gh_acc_" + "".join(f"%{ord(letter):02x}" for letter in BODY),
    "gh_acc_" + "".join(f"%2525{ord(letter):02X}" for letter in BODY),
]


@pytest.mark.parametrize("secret", SPELLINGS)
@pytest.mark.parametrize("place", ["/verify/{}/x", "/a?token={}&b=1", "{}", "say '{}'", "https://h/{}#{}", "/a/{}/{}"])
def test_a_secret_of_the_house_is_masked_wherever_it_stands(place: str, secret: str) -> None:
    tail = secret[-20:]
    masked = logs.mask_secrets(place.replace("{}", secret))
    assert tail not in masked
    assert logs.mask_secrets(masked) == masked
    kept = secret[: len(secret) - len(BODY)] if secret.endswith(BODY) else "gh_acc_"
    assert masked == place.replace("{}", f"{kept}***")


@pytest.mark.parametrize(
    ("path", "masked"),
    [
        ("/device/token/0badc0de-1b35", "/device/token/***"),
        ("/devices/device//token/0badc0de-1b35/rotate/x", "/devices/device//token/***/rotate/x"),
        ("/integration/network/resolve/serial/code/", "/integration/network/resolve/serial/***/"),
        ("/integration/network/resolve/serial", "/integration/network/resolve/serial"),
        ("/device/token/", "/device/token/"),
        ("/tokens/token/1", "/tokens/token/1"),
    ],
)
def test_secrets_in_paths_of_devices(path: str, masked: str) -> None:
    assert logs.mask_secrets(path) == masked
    assert logs.mask_secrets(masked) == masked


@pytest.mark.parametrize(
    "text", ["/high_and_low", "gh_acc_", "gh_acc_short", "/gh_pages_of_mine", f"hg_acc_{BODY}", f"gh-acc-{BODY}", "100%", "%gh_", "ähm_gh"]
)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert logs.mask_secrets(text) == text


@pytest.mark.parametrize(
    "event",
    [
        {"path": f"/a/gh_acc_{BODY}"},
        {"referer": f"https://h/?key=gh%5Fkey%5F{BODY}"},
        {"seen": [{"deep": (f"gh_ref_{BODY}",)}]},
        {"by_name": {f"gh_web_{BODY}": 1}},
        {"file": Path(f"/a/gh_cod_{BODY}")},
        {"set": {f"gh_cli_{BODY}"}},
        {"bytes": f"gh_mid_{BODY}".encode()},
        {"error": OSError(f"no such thing: gh_ana_{BODY}")},
    ],
    ids=str,
)
@pytest.mark.parametrize("colour", [False, True], ids=["JSON", "terminal"])
def test_no_line_shows_a_secret_of_the_house(event: dict[str, Any], colour: bool, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("example", colour=colour)
    logs.get("x").warning("look", **event)
    written = capsys.readouterr().err
    assert BODY not in written
    assert "***" in written


def test_a_library_s_text_and_a_trace_show_none_either(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("example", colour=False)
    logging.getLogger("library").warning("GET /a/gh_acc_%s", BODY)
    request_id.enter(f"gh_acc_{BODY}")
    try:
        raise ValueError(f"not gh_acc_{BODY}")
    except ValueError:
        logs.get("x").exception("failed")
    written = capsys.readouterr().err
    assert BODY not in written
    assert written.count("gh_acc_***") == 3  # the text, the id, the trace


@pytest.mark.timeout(120)
@pytest.mark.parametrize("unit", ["a.", "a://", "://a:", "Bearer ", "gh_", "%25"])
def test_the_time_to_mask_a_text_grows_with_it_and_no_faster(unit: str) -> None:
    def cost(size: int) -> float:
        times = []
        for _ in range(5):
            began = time.thread_time()
            logs.redact({"text": "://" + (unit * size)[:size]})
            times.append(time.thread_time() - began)
        return min(times)

    assert cost(64_000) < 24 * cost(8_000) + 1e-4  # 8 would be linear, 64 the square


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
