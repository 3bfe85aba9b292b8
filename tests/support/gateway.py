"""A running gateway: own definitions, free ports, its workers' ids and memory. `definition` makes the JSON of an API."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.processes import Process, get, migrate
from tests.support.waiting import free_port, wait_until

OPERATOR_KEY = "operator-key-of-the-tests"


def definition(name: str, target: str, *, version: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Write an API without keys on `/{name}/` (stripped) in front of `target`.

    version: members of its one version. more: members of the API.
    """
    proxy = {"listen_path": f"/{name}/", "target_url": target, "strip_listen_path": True, **more.pop("proxy", {})}
    return {
        "name": name,
        "api_id": name,
        "org_id": "default",
        "active": True,
        "use_keyless": True,
        "auth": {"auth_header_name": "authorization"},
        "version_data": {"not_versioned": True, "versions": {"Default": {"name": "Default", "expires": "", **(version or {})}}},
        "proxy": proxy,
        **more,
    }


class Gateway:
    """One gunicorn master with its workers. `port`: where clients connect; `operator_port`: API, health."""

    def __init__(
        self, folder: Path, definitions: Sequence[Mapping[str, Any]], env: Mapping[str, str], *, arguments: Sequence[str] = ()
    ) -> None:
        """Starts it and waits until it answers. env: GATEWAY_… settings that differ from one worker on SQLite, plain HTTP."""
        self.folder = folder / f"gateway-{secrets.token_hex(3)}"
        apis = self.folder / "apis"
        apis.mkdir(parents=True)
        for item in definitions:
            (apis / f"{item['api_id']}.json").write_text(json.dumps(item))
        self.port = free_port()
        self.operator_port = free_port()
        self.access_log = self.folder / "access.log"
        self.env = {
            "GATEWAY_PROXY_BIND": f"127.0.0.1:{self.port}",
            "GATEWAY_OPERATOR_BIND": f"127.0.0.1:{self.operator_port}",
            "GATEWAY_DATABASE_URL": f"sqlite:///{self.folder}/gateway.db",
            "GATEWAY_OPERATOR_KEY": OPERATOR_KEY,
            "GATEWAY_MASTER_KEY_PATH": f"{self.folder}/master.key",
            "GATEWAY_COPY_FOLDER": str(self.folder),
            "GATEWAY_DEFINITIONS": str(apis),
            "GATEWAY_ACCESS_LOG": str(self.access_log),
            "GATEWAY_WEBHOOK_ALLOW": "127.0.0.0/8",
            **env,
        }
        self.secure = "GATEWAY_TLS_CERTIFICATE" in self.env
        migrate("gateway", self.env)
        self._command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.gateway.py", *arguments, "services.gateway.wsgi:app"]
        self.start()

    def start(self) -> None:
        """Again after a stop, with everything that it left behind; waits until it answers."""
        self.process = Process(self._command, self.env, self.folder / "log")
        try:
            wait_until(self._ready, 60, "the gateway's answer")
        except AssertionError:
            text = self.process.text()[-4000:]
            self.process.stop()
            raise AssertionError(f"the gateway did not start:\n{text}") from None

    def _ready(self) -> bool:
        if not self.process.alive():
            raise AssertionError("ended")
        with contextlib.suppress(OSError, http.client.HTTPException):
            port = self.operator_port if self.secure else self.port
            return get(port, "/hello", 2.0)[0] == 200 and len(self.workers()) == int(self.env.get("GATEWAY_WORKERS", "1"))
        return False

    @property
    def url(self) -> str:
        return f"http{'s' if self.secure else ''}://127.0.0.1:{self.port}"

    @property
    def operator_url(self) -> str:
        return f"http://127.0.0.1:{self.operator_port}"

    def operator(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Call the operator's API; return status and body (JSON where it is JSON)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.operator_port, timeout=30)
        try:
            sent = {"Authorization": OPERATOR_KEY, "X-Tyk-Authorization": OPERATOR_KEY, **(headers or {})}
            data = None if body is None else json.dumps(body)
            if data is not None:
                sent.setdefault("Content-Type", "application/json")
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            raw = answer.read()
        finally:
            connection.close()
        try:
            return answer.status, json.loads(raw)
        except ValueError:
            return answer.status, raw

    def workers(self) -> list[int]:
        """Return the process ids of the workers, from the kernel."""
        pid = self.process.pid
        with contextlib.suppress(FileNotFoundError):
            return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return []

    def started(self) -> list[int]:
        """Return the process ids of those workers that say in the log that they have started."""
        said = {int(pid) for pid in re.findall(r'"event": "worker started".*?"pid": (\d+)', self.process.text())}
        return [pid for pid in self.workers() if own_id(pid) in said]

    def memory(self, field: str = "VmRSS") -> int:
        """Return the bytes of the biggest worker. field: VmRSS (now) or VmHWM (the most ever)."""
        return max(_status_field(pid, field) for pid in self.workers())

    def logged(self, **members: Any) -> dict[str, Any]:
        """Wait for the first line of the access log that has these members, and return it."""

        def found() -> dict[str, Any] | None:
            lines = [json.loads(line) for line in self.access_log.read_text().splitlines() if line.endswith("}")]
            return next((line for line in lines if members.items() <= line.items()), None)

        line = wait_until(found, 30, f"a line with {members}")
        assert line is not None
        return line

    def signal(self, number: int) -> None:
        self.process.signal(number)

    def stop(self) -> int:
        return self.process.stop(90)


def _status_field(pid: int, field: str) -> int:
    return int(_status_line(pid, field)[0]) * 1024


def _status_line(pid: int, field: str) -> list[str]:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return line.split()[1:]
    raise AssertionError(f"/proc/{pid}/status has no {field}")


def own_id(pid: int) -> int:
    """Return the id that the process has for itself: in a container it is another."""
    with contextlib.suppress(FileNotFoundError):
        return int(_status_line(pid, "NSpid")[-1])
    return 0


@contextlib.contextmanager
def gateway(
    folder: Path, definitions: Sequence[Mapping[str, Any]], env: Mapping[str, str] | None = None, *, arguments: Sequence[str] = ()
) -> Iterator[Gateway]:
    """Run a gateway for the length of a block. Its log is shown when the block fails."""
    running = Gateway(folder, definitions, env or {}, arguments=arguments)
    try:
        yield running
    except BaseException:
        sys.stderr.write(f"--- the gateway's log\n{running.process.text()[-6000:]}\n")
        raise
    finally:
        running.process.stop()
