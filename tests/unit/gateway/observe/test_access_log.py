"""The access log: a line of JSON for each request, written by a thread, in batches that stay small however busy the worker is."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import stat
from pathlib import Path

import pytest

from services.gateway.observe.access_log import AccessLog
from tests.support.waiting import wait_until
from tests.unit.gateway.exchanges import exchange, make_key


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "log" / "access.log"))
    log.start()
    request = exchange("PUT", "/api/a%20b?secret=1", [("authorization", "s3cret")], key=make_key("public-id"))
    request.refused = "quota-exceeded"
    log.write(request, 403, 321, 0.001)
    log.write_early("192.0.2.7", 400, "bad-header")
    log.stop()
    first, second = lines_of(tmp_path / "log" / "access.log")
    ms = first.pop("ms")
    assert isinstance(ms, float)
    assert ms >= 0
    assert first.pop("time")
    assert first == {
        "method": "PUT",
        "path": "/api/a%20b",
        "status": 403,
        "bytes": 321,
        "client": "192.0.2.1",
        "api": "",
        "key": "public-id",
        "refused": "quota-exceeded",
        "request_id": "request-1",
    }
    assert (second["status"], second["client"], second["refused"]) == (400, "192.0.2.7", "bad-header")
    assert "s3cret" not in (tmp_path / "log" / "access.log").read_text()


def test_a_busy_worker_hands_its_lines_over_before_it_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = AccessLog(str(path))
    log.start()
    request = exchange()
    for _ in range(2500):
        log.write(request, 200, 1, 0.001)
    wait_until(lambda: path.exists() and len(path.read_text().splitlines()) == 2000, what="two full batches in the file")
    log.stop()
    assert len(lines_of(path)) == 2500
    assert log.dropped == 0


def test_a_long_path_is_cut(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "access.log"))
    log.start()
    log.write(exchange(target="/api/" + "a" * 5000), 200, 1, 0.001)
    log.stop()
    assert lines_of(tmp_path / "access.log")[0]["path"] == "/api/" + "a" * 2043


BODY = "0Az9" * 12 + "x"


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (f"/api/gh_acc_{BODY}/x", "/api/gh_acc_***/x"),
        (f"/api/gh%5Facc%5f{BODY}", "/api/gh_acc_***"),
        (f"/api/%67h_%61cc_%30{BODY[1:]}", "/api/gh_acc_***"),
        (f"/api/gh%255Facc%255f{BODY}", "/api/gh%255Facc%255f***"),
        (f"/api/gh_acc_{BODY}/gh_ref_{BODY}?gh_key_{BODY}", "/api/gh_acc_***/gh_ref_***"),
        (f"/api/{'a' * 2000}/gh_acc_{BODY}", f"/api/{'a' * 2000}/gh_acc_***"),
        (f"/api/device/token/{'0badc0de-' * 4}?x=1", "/api/device/token/***"),
        ("/api/integration/network/resolve/serial/code", "/api/integration/network/resolve/serial/***"),
        ("/api/gh_pages/a_b/100%25", "/api/gh_pages/a_b/100%25"),
    ],
)
def test_a_secret_in_the_path_is_masked(target: str, shown: str, tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "access.log"))
    log.start()
    log.write(exchange(target=target), 200, 1, 0.001)
    log.stop()
    [line] = lines_of(tmp_path / "access.log")
    assert line["path"] == shown


def test_others_cannot_read_it(tmp_path: Path) -> None:
    path = tmp_path / "log" / "access.log"
    log = AccessLog(str(path))
    log.start()
    log.stop()
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o640, 0o700)


@pytest.mark.parametrize("moved", [True, False], ids=["moved away", "deleted"])
def test_a_file_that_is_gone_is_made_anew(moved: bool, tmp_path: Path) -> None:
    path, old = tmp_path / "access.log", tmp_path / "access.log.1"
    log = AccessLog(str(path))
    log.start()
    log.write(exchange(), 200, 1, 0.001)
    log.flush()
    wait_until(lambda: path.read_text().endswith("\n"), what="the first line")
    path.rename(old)
    if not moved:
        old.unlink()
    log.write(exchange(), 404, 1, 0.001)
    log.stop()
    assert [line["status"] for line in lines_of(path)] == [404]
    assert not moved or [line["status"] for line in lines_of(old)] == [200]
    assert log.dropped == 0


def test_a_pipe_that_nobody_reads_does_not_hold_up_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.observe.access_log._LAST_WRITE", 0.1)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog(str(pipe))
    log.start()
    request = exchange()
    while not log.dropped:
        log.write(request, 200, 1, 0.001)
    log.stop()
    while log._thread and log._thread.is_alive():  # now it is read, the thread can end
        with contextlib.suppress(BlockingIOError):
            os.read(reader, 1 << 20)
        with contextlib.suppress(queue.Full):
            log._batches.put_nowait(None)
    os.close(reader)


def test_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = AccessLog(None)
    log.start()
    for _ in range(3):
        log.write(exchange(), 200, 1, 0.001)
    log.write_early("192.0.2.7", 400, "bad-header")
    log.stop()
    assert not list(tmp_path.iterdir())
