"""A HUP with settings that cannot serve leaves the gateway as it is."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.support.gateway import definition, gateway
from tests.support.processes import get
from tests.support.waiting import wait_until


def test_broken_settings_do_not_end_a_gateway(tmp_path: Path) -> None:
    with gateway(tmp_path, [definition("a", "http://127.0.0.1:1/")], {"GATEWAY_SOURCE": "files"}) as running:
        workers = running.workers()
        folder = running.folder / "apis"
        folder.rename(running.folder / "elsewhere")
        running.signal(signal.SIGHUP)
        wait_until(lambda: "not reloaded" in running.process.text(), 10, "the refusal of the reload")
        assert running.process.alive()
        assert running.workers() == workers
        assert get(running.port, "/a/x")[0] == 502
        (running.folder / "elsewhere").rename(folder)
        running.signal(signal.SIGHUP)
        wait_until(lambda: running.workers() and not set(running.workers()) & set(workers), 20, "new workers")
        assert get(running.port, "/a/x")[0] == 502
