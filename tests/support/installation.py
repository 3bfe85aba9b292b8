"""An installation as `./dev up` lays it out, whose processes start and stop one by one, as units or containers do."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.support.house import port_base
from tests.support.processes import KEPT, ROOT, Process, answers, migrate
from tests.support.waiting import wait_until
from tools.dev import plan

CHEAP = {"AUTH_ARGON2_MEMORY_KIB": "8192", "AUTH_ARGON2_PASSES": "1"}
CALLS = {"GATEWAY_WEBHOOK_ALLOW": "127.0.0.0/8", "DEVICES_WEBHOOK_ALLOW": "127.0.0.0/8"}


class Installation:
    """Some services and their gateway. environ: settings besides the usual ones."""

    def __init__(self, data: Path, services: Sequence[str], environ: Mapping[str, str] | None = None) -> None:
        self.data = data
        self.environ = {name: os.environ[name] for name in KEPT if name in os.environ} | CHEAP | CALLS | dict(environ or {})
        self.ports = plan.Ports.counted_from(port_base())
        self._services = services
        self._running: dict[str, Process] = {}
        self._migrated: set[str] = set()
        self._logs = data.with_name(f"{data.name}-logs")
        self._logs.mkdir(parents=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports.proxy}"

    @property
    def operator(self) -> str:
        return f"http://127.0.0.1:{self.ports.operator}"

    def text(self, path: str) -> str:
        """Read a file of the data folder."""
        return (self.data / path).read_text().strip()

    def straight(self, service: str) -> str:
        """Return the address of a service itself."""
        return f"http://127.0.0.1:{self.ports.services[service]}"

    def page(self, **more: str) -> dict[str, str]:
        """Return the variables that the page of runbooks uses. more: further ones."""
        key = self.data / "gateway" / "operator.key"
        found = {**self.environ, "DATA": str(self.data), "URL": self.url, "OPERATOR": self.operator, "GATEHOUSE_URL": self.operator}
        return found | ({"KEY": key.read_text().strip()} if key.exists() else {}) | more

    def start(self, *names: str, tree: Path = ROOT) -> None:
        """Start services, all of them without names, and wait until they answer; the first time migrated. tree: the project's folder."""
        planned = {one.name: one for one in plan.programs(self.ports, self.data, 1, self.environ)}
        chosen = names or (*self._services, "gateway")
        for name in chosen:
            program = planned[name]
            if name not in self._migrated:
                migrate(name, program.env)
                self._migrated.add(name)
            command = ["env", "-C", str(tree), *program.command]
            self._running[name] = Process(command, program.env, self._logs / f"{name}.log")
        for name in chosen:
            wait_until(lambda program=planned[name]: self._answers(program), 90, f"{name}")  # type: ignore[misc]

    def _answers(self, program: plan.Program) -> bool:
        process = self._running[program.name]
        assert process.alive(), process.text()[-4000:]
        return answers(program.port, program.health)

    def migrate(self, *names: str) -> None:
        """Create the databases of services that do not run."""
        for program in plan.programs(self.ports, self.data, 1, self.environ):
            if program.name in names:
                migrate(program.name, program.env)

    def stop(self, *names: str) -> None:
        """Stop services, all of them without names."""
        ending = [self._running.pop(name) for name in names or tuple(self._running)]
        for one in ending:
            one.signal(signal.SIGTERM)
        for one in ending:
            one.stop(60)

    def restart(self, *names: str) -> None:
        self.stop(*names)
        self.start(*names)

    def refused(self, name: str) -> str:
        """Start a service that does not start, and return what it says."""
        [program] = [one for one in plan.programs(self.ports, self.data, 1, self.environ) if one.name == name]
        done = subprocess.run(program.command, cwd=ROOT, env=program.env, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode != 0
        return done.stderr

    def log(self, name: str) -> str:
        """Return what a service has logged."""
        return (self._logs / f"{name}.log").read_text()

    def reload(self) -> None:
        """Send HUP to the gateway, and wait until another worker has taken over."""
        before = self._workers()
        self._running["gateway"].signal(signal.SIGHUP)
        wait_until(lambda: self._workers() and not self._workers() & before, 60, "a new worker")

    def _workers(self) -> set[int]:
        pid = self._running["gateway"].pid
        with contextlib.suppress(FileNotFoundError):
            return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
        return set()


@contextlib.contextmanager
def installation(data: Path, services: Sequence[str], environ: Mapping[str, str] | None = None) -> Iterator[Installation]:
    """Make one for the length of a block; nothing of it runs yet."""
    made = Installation(data, services, environ)
    try:
        yield made
    except BaseException:
        for name in made._running:
            sys.stderr.write(f"--- {name}\n{made.log(name)[-3000:]}\n")
        raise
    finally:
        made.stop()


def newer(folder: Path, service: str) -> Path:
    """Copy the project as a version that has one more migration of a service: it adds a table. Return the copy."""
    for name in ("services", "tools", "deploy", "requirements"):
        subprocess.run(["cp", "-r", str(ROOT / name), str(folder / name)], check=True)
    versions = folder / "services" / service / "migrations" / "versions"
    last = max(re.fullmatch(r"(\d+)_.*\.py", path.name)[1] for path in versions.glob("[0-9]*_*.py"))  # type: ignore[index]
    following = f"{int(last) + 1:04}"
    (versions / f"{following}_later.py").write_text(
        f"import sqlalchemy as sa\nfrom alembic import op\n\nrevision, down_revision = {json.dumps(following)}, {json.dumps(last)}\n\n\n"
        'def upgrade():\n    op.create_table("later", sa.Column("id", sa.Integer, primary_key=True))\n'
    )
    return folder
