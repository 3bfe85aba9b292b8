"""What `./dev up` starts: which processes, on which addresses, with which environment."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.common.secret_file import secret_file, write_secret

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


def add_place(parser: argparse.ArgumentParser) -> None:
    """Add the options that tell one house from another."""
    parser.add_argument("--data", type=Path, metavar="DIR", help="databases, keys and logs (default var)")
    parser.add_argument(
        "--port-base",
        type=_port_base,
        metavar="N",
        help="proxy on N, operator port on N+1, services on N+21 to N+25 (default 8080, 8081, 8101 to 8105)",
    )


def _port_base(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65510:
        raise argparse.ArgumentTypeError("must be between 1 and 65510")
    return int(text)


def data_of(options: argparse.Namespace) -> Path:
    """Return the folder where the house keeps everything."""
    return Path(options.data or "var").resolve()


def ports_of(options: argparse.Namespace) -> Ports:
    return Ports.defaults() if options.port_base is None else Ports.counted_from(options.port_base)


def operator_key(data: Path) -> Path:
    return data / "gateway" / "operator.key"


def public_url(ports: Ports, environ: Mapping[str, str] = os.environ) -> str:
    """Return where clients arrive. The operator's port speaks plain HTTP whatever the public one speaks."""
    return f"http{'s' if environ.get('GATEWAY_TLS_CERTIFICATE') else ''}://127.0.0.1:{ports.proxy}"


def present(name: str) -> bool:
    return (ROOT / "services" / name / "wsgi.py").is_file()


def programs(ports: Ports, data: Path, workers: int, environ: Mapping[str, str] = os.environ) -> list[Program]:
    """List every service of this tree, the gateway last. What `environ` already says about databases and folders wins."""
    shared = {
        **environ,
        "PYTHONUNBUFFERED": "1",
        **{f"UPSTREAM_{name.upper()}": f"http://127.0.0.1:{port}" for name, port in ports.services.items()},
    }
    shared.setdefault("AUTH_URL", f"http://127.0.0.1:{ports.services['auth']}")
    shared.setdefault("AUTH_ISSUER", f"{public_url(ports, environ)}/auth")
    if present("auth"):
        shared |= _credentials(data, shared)
    planned = [_domain_service(name, ports.services[name], data, shared) for name in DOMAIN_SERVICES if present(name)]
    return [*planned, _gateway(ports, data, workers, shared)] if present("gateway") else planned


def _settings(name: str) -> dict[str, dataclasses.Field[Any]]:
    """What a service can be told, by the name in the environment."""
    kind = importlib.import_module(f"services.{name}.settings").Settings
    return {one.metadata.get("env") or f"{name.upper()}_{one.name.upper()}": one for one in dataclasses.fields(kind)}


def _given(setting: str, environ: Mapping[str, str]) -> bool:
    return setting in environ or f"{setting}_FILE" in environ


def _inside(data: Path, name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The settings of a service whose defaults lie under `var/`, moved into `data`; what the environment says stays."""
    found = {}
    for setting, one in _settings(name).items():
        scheme, separator, path = str(one.default).rpartition("sqlite:///")
        if path.startswith("var/") and not _given(setting, environ):
            found[setting] = scheme + separator + str(data / path.removeprefix("var/"))
    return found


def _credentials(data: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Each neighbour that asks auth gets a secret, `<SERVICE>_AUTH_SECRET`, and auth the list of them; made once, kept in `data`."""
    if _given("AUTH_SERVICE_CLIENTS", environ):
        return {}
    found, pairs = {}, []
    for name in filter(present, DOMAIN_SERVICES):
        setting = f"{name.upper()}_AUTH_SECRET"
        if setting in _settings(name) and not _given(setting, environ):
            path = data / name / "auth.secret"
            pairs.append(f"{name}={secret_file(path, lambda: secrets.token_urlsafe(32))}")
            found[f"{setting}_FILE"] = str(path)
    if pairs:
        clients = data / "auth" / "service-clients"
        write_secret(clients, ", ".join(pairs))
        found["AUTH_SERVICE_CLIENTS_FILE"] = str(clients)
    return found


def _gunicorn(configuration: str, name: str) -> list[str]:
    return [sys.executable, "-m", "gunicorn", "-c", f"deploy/{configuration}", f"services.{name}.wsgi:app"]


def _domain_service(name: str, port: int, data: Path, shared: Mapping[str, str]) -> Program:
    env = {**shared, f"{name.upper()}_BIND": f"127.0.0.1:{port}", **_inside(data, name, shared)}
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
