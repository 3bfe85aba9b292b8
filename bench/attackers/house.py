"""A whole house in a temporary folder: gateway, auth and tokens as `./dev up` starts them, on free ports, with upstreams of their own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bench.attackers.attacks import Places
from bench.attackers.ordinary import Client
from bench.gateway import create_key
from bench.gateway import definition as rules
from bench.measure.gatehouse import ask_operator
from bench.measure.processes import Servers, servers, wait_for_port
from tests.support.gateway import definition
from tests.support.processes import KEPT
from tests.support.waiting import free_port
from tools.dev.plan import Ports, Program, programs

ROOT = Path(__file__).parents[2]
GATEWAY_CORE, OTHER_CORE = 0, 1
ROLE_TOKENS = 100  # auth is asked about each once: a service keeps an answer for some seconds
_ADMIN = "admin@gatehouse.local"
_FILLED = 250


def _tokens() -> dict[str, Any]:
    """Ask for tokens of the algorithm that takes longest to check."""
    public = ec.generate_private_key(ec.SECP521R1()).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    auth = {"auth_header_name": "authorization"}
    return {"enable_jwt": True, "jwt_signing_method": "ecdsa", "jwt_source": pem, "jwt_default_policies": ["none"], "auth": auth}


@dataclass
class House:
    """Where everything is. sources: addresses of the attackers; scale: as in Places."""

    folder: Path
    sources: list[str]
    scale: float
    operator_key: str = field(default_factory=lambda: os.urandom(16).hex())
    password: str = field(default_factory=lambda: os.urandom(16).hex())
    key: str = ""
    role_tokens: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ports = Ports(free_port(), free_port(), {name: free_port() for name in Ports.defaults().services})
        self.upstream, self.hostile = free_port(), free_port()
        self.log = self.folder / "servers.log"
        self._programs = [one for one in self._planned() if one.name in ("gateway", "auth", "tokens")]
        self._write_definitions()

    @property
    def places(self) -> Places:
        return Places(self.ports.proxy, self.ports.operator, self.sources, self.scale)

    def _planned(self) -> list[Program]:
        environ = {name: os.environ[name] for name in KEPT if name in os.environ}
        environ |= {
            "AUTH_ADMIN_PASSWORD": self.password,
            "GATEWAY_OPERATOR_KEY": self.operator_key,
            "GATEWAY_DEFINITIONS": str(self.folder / "definitions"),
            "GATEWAY_ACCESS_LOG": str(self.folder / "access.log"),
            "TOKENS_LOG_LEVEL": "ERROR",
            "AUTH_LOG_LEVEL": "ERROR",
        }
        if self.scale != 1:
            environ |= self._scaled_limits()
        planned = programs(self.ports, self.folder, 1, environ)
        for one in planned:
            if one.name == "gateway":
                one.env["GATEWAY_PROXY_BIND"] = f"127.0.0.1:{self.ports.proxy}"
        return planned

    def _scaled_limits(self) -> dict[str, str]:
        """A smaller attack meets limits that are smaller in proportion."""
        from services.gateway.settings import Settings

        scaled = {}
        for one in fields(Settings):
            if one.name in ("max_connections", "max_connections_per_address") and isinstance(one.default, int):
                scaled[f"GATEWAY_{one.name.upper()}"] = str(max(20, round(one.default * self.scale)))
        return scaled

    def _write_definitions(self) -> None:
        folder = self.folder / "definitions"
        folder.mkdir()
        hostile = f"http://127.0.0.1:{self.hostile}/"
        reply = {"path": "^/reply$", "method_actions": {"GET": {"action": "reply", "code": 200, "data": "here", "headers": {}}}}
        canned = {"use_extended_paths": True, "extended_paths": {"ignored": [reply], "white_list": [], "black_list": []}}
        batch: dict[str, Any] = {"enable_batch_request_support": True}
        for one in (
            rules(self.upstream, keyed=True),
            definition("open", hostile, version=canned, **batch),
            definition("keyed-batch", hostile, use_keyless=False, **batch),
            definition("users", hostile, use_keyless=False, use_basic_auth=True),
            definition("signed", hostile, use_keyless=False, enable_signature_checking=True, hmac_allowed_clock_skew=600_000),
            definition("signed-by-one", hostile, use_keyless=False, **_tokens()),
            definition("refused", hostile, enable_ip_whitelisting=True, allowed_ips=["127.0.0.1"], **batch),
            *(json.loads((ROOT / f"deploy/apis/{name}.json").read_text()) for name in ("auth", "tokens")),
        ):
            (folder / f"{one['api_id']}.json").write_text(json.dumps(one))

    def prepare(self) -> None:
        """Migrate, start once, and make what the clients need: a key, role tokens, and large tokens in the archive."""
        from bench.tokens import fill

        for one in self._programs:
            command = [sys.executable, "-m", "services.common.migrate", one.name]
            subprocess.run(command, cwd=ROOT, env=one.env, check=True, capture_output=True, timeout=60)
        with self.running():
            self.key = create_key(self.ports.operator, self.operator_key)
            user = {"access_rights": {"users": {"versions": ["Default"]}}, "basic_auth_data": {"password": self.password}}
            ask_operator(self.ports.operator, self.operator_key, "POST", "/api/apis/keys/basic/user", user)
            token = self._auth("/login", {"email": _ADMIN, "password": self.password})["access_token"]
            self.role_tokens = [self._auth("/role-tokens", {"subject": "generator"}, token)["token"] for _ in range(ROLE_TOKENS)]
        tokens = next(one for one in self._programs if one.name == "tokens")
        fill(tokens.env["TOKENS_DATABASE_URL"], _FILLED, max(1, round(25_000 * self.scale)))

    def _auth(self, path: str, body: Any, token: str = "") -> Any:
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.ports.services['auth']}{path}", json.dumps(body).encode(), headers, method="POST"
        )
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return json.load(answer)

    @contextlib.contextmanager
    def running(self) -> Iterator[Running]:
        """Start everything again; it ends with the block."""
        with servers(self.log) as group:
            for port, hostile in ((self.upstream, False), (self.hostile, True)):
                command = [sys.executable, "-m", "bench.attackers.upstream", str(port), *(["hostile"] if hostile else [])]
                group.start(command, core=OTHER_CORE, cwd=ROOT)
            pids = {}
            for one in self._programs:
                core = GATEWAY_CORE if one.name == "gateway" else OTHER_CORE
                pids[one.name] = group.start(one.command, env=one.env, core=core, cwd=ROOT).pid
            for port in (self.upstream, self.hostile, *(one.port for one in self._programs)):
                if not wait_for_port(port):
                    raise RuntimeError(f"what should listen on port {port} did not start:\n{self.log.read_text()[-3000:]}")
            running = Running(group, pids)
            deadline = time.monotonic() + 30
            while not all(running.workers(name) for name in pids) and time.monotonic() < deadline:
                time.sleep(0.02)
            yield running
        (self.folder / "access.log").unlink(missing_ok=True)

    def client(self, name: str) -> Client:
        """Create one of the ordinary clients, all of which go through the gateway.

        ordinary: keyed requests on kept connections; newcomer: the same, each on a new connection; auth: what the service says of itself;
        tokens: a call that needs a role token, about which auth is asked; log-in: with a password.
        """
        port, host = self.ports.proxy, "Host: gateway\r\n"
        keyed = [f"GET /bench-keyed/small HTTP/1.1\r\n{host}X-API-Key: {self.key}\r\n\r\n".encode()]
        if name == "ordinary":
            return Client(name, port, keyed, rate=100)
        if name == "newcomer":
            return Client(name, port, keyed, rate=25, fresh=True)
        if name == "auth":
            return Client(name, port, [f"GET /auth/ HTTP/1.1\r\n{host}\r\n".encode()], rate=50)
        if name == "tokens":
            line = "GET /tokens/waiting_interactions HTTP/1.1\r\n"
            return Client(name, port, [f"{line}{host}Authorization: Bearer {one}\r\n\r\n".encode() for one in self.role_tokens], rate=12)
        if name == "log-in":
            body = json.dumps({"email": _ADMIN, "password": self.password})
            head = f"POST /auth/login HTTP/1.1\r\n{host}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            return Client(name, port, [(head + body).encode()], rate=2)
        raise ValueError(f"there is no client {name!r}")


@dataclass
class Running:
    """The processes of a house that was started. pids: of each service's first process."""

    group: Servers
    pids: dict[str, int]

    def workers(self, name: str) -> list[int]:
        """Return the process ids of a service's workers, from the kernel."""
        pid = self.pids[name]
        with contextlib.suppress(OSError):
            return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return []

    def memory_mb(self, name: str) -> float:
        """Resident memory of the largest worker."""
        sizes = [0.0]
        for pid in self.workers(name):
            with contextlib.suppress(OSError):
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                sizes.append(pages * os.sysconf("SC_PAGESIZE") / 1e6)
        return max(sizes)
