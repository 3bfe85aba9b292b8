"""The access log: a line of JSON for each request, written by a thread, in batches that stay small however busy the worker is."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import stat
from pathlib import Path

import pytest

from services.gateway.exchange import Exchange, Trace
from services.gateway.observe.access_log import AccessLog
from tests.support.waiting import wait_until
from tests.unit.gateway.exchanges import exchange, make_key


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def line_of(tmp_path: Path, request: Exchange, status: int = 200, *, after: float = 0.0, agent: bool = False) -> dict[str, object]:
    """The line of a request that was answered so many seconds after it came."""
    log = AccessLog(str(tmp_path / "access.log"), agent=agent)
    log.start()
    log.write(request, status, 321, 17, request.started + after)
    log.stop()
    return lines_of(tmp_path / "access.log")[-1]


def test_a_line(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "log" / "access.log"))
    log.start()
    request = exchange("PUT", "/api/a%20b?secret=1", [("authorization", "s3cret")], key=make_key("public-id"))
    request.refused = "quota-exceeded"
    log.write(request, 403, 321, 17, request.started + 0.00125)
    log.write_early("192.0.2.7", 400, "bad-header")
    log.stop()
    first, second = lines_of(tmp_path / "log" / "access.log")
    assert first.pop("time")
    assert first == {
        "method": "PUT",
        "host": "api.example",
        "path": "/api/a%20b",
        "protocol": "HTTP/1.1",
        "scheme": "http",
        "status": 403,
        "bytes": 321,
        "received": 17,
        "ms": pytest.approx(1.25, abs=0.011),
        "client": "192.0.2.1",
        "api": "",
        "key": "public-id",
        "refused": "quota-exceeded",
        "request_id": "request-1",
    }
    assert (second["status"], second["client"], second["refused"]) == (400, "192.0.2.7", "bad-header")
    assert "s3cret" not in (tmp_path / "log" / "access.log").read_text()


def test_how_it_came(tmp_path: Path) -> None:
    request = exchange(client="203.0.113.9")
    request.secure, request.minor, request.peer = True, 0, "192.0.2.8"
    line = line_of(tmp_path, request)
    assert (line["protocol"], line["scheme"], line["client"], line["peer"]) == ("HTTP/1.0", "https", "203.0.113.9", "192.0.2.8")


def test_a_host_is_cut(tmp_path: Path) -> None:
    request = exchange()
    request.host = "a" * 9000
    assert line_of(tmp_path, request)["host"] == "a" * 255


def test_what_the_upstream_took(tmp_path: Path) -> None:
    request = exchange()
    request.upstream, request.asked = "up.example:8080", request.started + 0.5
    request.first_byte, request.connecting = request.asked + 0.2, 0.05
    line = line_of(tmp_path, request, after=1.0)
    times = {name: line[name] for name in ("ms", "upstream_ms", "upstream_first_byte_ms", "upstream_connect_ms")}
    assert times == pytest.approx({"ms": 1000, "upstream_ms": 500, "upstream_first_byte_ms": 200, "upstream_connect_ms": 50}, abs=0.011)
    assert line["upstream"] == "up.example:8080"


@pytest.mark.parametrize("after", [0.0, 0.000004, 0.00123, 0.0199949, 0.01999999, 0.02, 0.25])
def test_short_and_long_times_are_written_alike(after: float, tmp_path: Path) -> None:
    request = exchange()
    request.upstream, request.asked, request.first_byte = "up.example:80", request.started + after / 4, request.started + after / 2
    line = line_of(tmp_path, request, after=after)
    times = [line[name] for name in ("ms", "upstream_ms", "upstream_first_byte_ms")]
    assert times == pytest.approx([after * 1000, after * 750, after * 250], abs=0.0051)


def test_an_upstream_that_did_not_answer(tmp_path: Path) -> None:
    request = exchange()
    request.upstream, request.asked, request.refused, request.limit = "up.example:80", request.started, "upstream-timeout", "first byte"
    line = line_of(tmp_path, request, 504, after=0.1)
    assert "upstream_first_byte_ms" not in line
    assert (line["upstream"], line["upstream_ms"], line["limit"]) == ("up.example:80", pytest.approx(100, abs=0.011), "first byte")


def test_the_trace(tmp_path: Path) -> None:
    request = exchange()
    request.trace = Trace(0xAB, 1, 0, 2, False)
    assert line_of(tmp_path, request)["trace_id"] == "0" * 30 + "ab"


AGENT = [
    ("Referer", f"https://ada:s3cret@shop.example/gh_acc_{'0Az9' * 12}x/a?token=s3cret#s3cret"),
    ("User-Agent", 'a "b\\c\xff' + "d" * 600),
]


def test_referer_and_user_agent_only_when_they_are_asked_for(tmp_path: Path) -> None:
    line = line_of(tmp_path, exchange(headers=AGENT))
    assert not {"referer", "user_agent"} & set(line)
    request = exchange(headers=AGENT)
    for _ in range(2):  # the second time it is known
        line = line_of(tmp_path, request, agent=True)
        assert line["referer"] == "https://[redacted]@shop.example/gh_acc_***/a"
        assert str(line["user_agent"]).startswith('a "b\\c\ufffdddd')
        assert len(str(line["user_agent"])) == 512
    assert "s3cret" not in (tmp_path / "access.log").read_text()


def test_a_busy_worker_hands_its_lines_over_before_it_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = AccessLog(str(path))
    log.start()
    request = exchange()
    for _ in range(2500):
        log.write(request, 200, 1, 0, 1.0)
    wait_until(lambda: path.exists() and len(path.read_text().splitlines()) == 2000, what="two full batches in the file")
    log.stop()
    assert len(lines_of(path)) == 2500
    assert log.dropped == 0


def test_a_long_path_is_cut(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "access.log"))
    log.start()
    log.write(exchange(target="/api/" + "a" * 5000), 200, 1, 0, 1.0)
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
    log.write(exchange(target=target), 200, 1, 0, 1.0)
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
    log.write(exchange(), 200, 1, 0, 1.0)
    log.flush()
    wait_until(lambda: path.read_text().endswith("\n"), what="the first line")
    path.rename(old)
    if not moved:
        old.unlink()
    log.write(exchange(), 404, 1, 0, 1.0)
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
        log.write(request, 200, 1, 0, 1.0)
    log.stop()
    while log._writer and log._writer.is_alive():  # now it is read, the thread can end
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
        log.write(exchange(), 200, 1, 0, 1.0)
    log.write_early("192.0.2.7", 400, "bad-header")
    log.stop()
    assert not list(tmp_path.iterdir())
