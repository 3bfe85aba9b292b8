"""What `./dev up` starts: which processes, on which addresses, with which environment."""

from __future__ import annotations

import dataclasses
import importlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOMAIN_SERVICES = ("auth", "sessions", "tokens", "devices", "mobility")
PROXY_PORT, OPERATOR_PORT, FIRST_SERVICE_PORT = 8080, 8081, 8101


@dataclass
class Program:
    """One service as it is started. `port` answers `health`; `ports` are all that it listens on, by host."""

    name: str
    command: list[str]
    port: int
    health: str
    env: dict[str, str]
    ports: list[tuple[str, int]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Ports:
    """The addresses of everything: the contract's defaults, or all of them counted from one base."""

    proxy: int
    operator: int
    services: Mapping[str, int]

    @classmethod
    def defaults(cls) -> Ports:
        return cls(PROXY_PORT, OPERATOR_PORT, {name: FIRST_SERVICE_PORT + n for n, name in enumerate(DOMAIN_SERVICES)})

    @classmethod
    def counted_from(cls, base: int) -> Ports:
        return cls(base, base + 1, {name: base + 21 + n for n, name in enumerate(DOMAIN_SERVICES)})


def present(name: str) -> bool:
    return (ROOT / "services" / name / "wsgi.py").is_file()


def programs(ports: Ports, data: Path, workers: int, environ: Mapping[str, str] = os.environ) -> list[Program]:
    """Every service of this tree, the gateway last. What `environ` already says about databases and binds wins."""
    shared = {
        **environ,
        "PYTHONUNBUFFERED": "1",
        **{f"UPSTREAM_{name.upper()}": f"http://127.0.0.1:{port}" for name, port in ports.services.items()},
    }
    shared.setdefault("AUTH_URL", f"http://127.0.0.1:{ports.services['auth']}")
    planned = [_domain_service(name, ports.services[name], data, shared) for name in DOMAIN_SERVICES if present(name)]
    return [*planned, _gateway(ports, data, workers, shared)] if present("gateway") else planned


def _inside(data: Path, name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The settings of a service whose defaults lie under `var/`, moved into `data`; what the environment says stays."""
    kind = importlib.import_module(f"services.{name}.settings").Settings
    found = {}
    for one in dataclasses.fields(kind):
        setting = one.metadata.get("env") or f"{name.upper()}_{one.name.upper()}"
        scheme, separator, path = str(one.default).rpartition("sqlite:///")
        if path.startswith("var/") and setting not in environ and f"{setting}_FILE" not in environ:
            found[setting] = scheme + separator + str(data / path.removeprefix("var/"))
    return found


def _gunicorn(configuration: str, name: str) -> list[str]:
    return [sys.executable, "-m", "gunicorn", "-c", f"deploy/{configuration}", f"services.{name}.wsgi:app"]


def _domain_service(name: str, port: int, data: Path, shared: Mapping[str, str]) -> Program:
    env = {**shared, f"{name.upper()}_BIND": f"127.0.0.1:{port}", **_inside(data, name, shared)}
    if name == "auth":
        env.pop("AUTH_URL", None)  # where the others find it; in its own settings an unknown name
    return Program(name, _gunicorn("gunicorn.service.py", name), port, "/health", env, [("127.0.0.1", port)])


def _gateway(ports: Ports, data: Path, workers: int, shared: Mapping[str, str]) -> Program:
    env = {
        **shared,
        "GATEWAY_PROXY_BIND": f"0.0.0.0:{ports.proxy}",
        "GATEWAY_OPERATOR_BIND": f"127.0.0.1:{ports.operator}",
        "GATEWAY_WORKERS": str(workers),
        **_inside(data, "gateway", shared),
    }
    listening = [("0.0.0.0", ports.proxy), ("127.0.0.1", ports.operator)]
    return Program("gateway", _gunicorn("gunicorn.gateway.py", "gateway"), ports.operator, "/hello", env, listening)
