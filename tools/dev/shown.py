"""What `./dev up` says when everything is healthy: where it is, for people and as JSON."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.dev import plan
from tools.dev.plan import ROOT, Ports, Program


def addresses(programs: Sequence[Program], ports: Ports, environ: Mapping[str, str]) -> dict[str, str]:
    """Name → address of all that one can call; the gateway has two."""
    found = {}
    for program in programs:
        if program.name == "gateway":
            found["gateway, public"] = plan.public_url(ports, environ)
            found["gateway, operator"] = program.address
        else:
            found[program.name] = program.address
    return found


def as_json(programs: Sequence[Program], ports: Ports, data: Path, environ: Mapping[str, str] = os.environ) -> dict[str, object]:
    found: dict[str, object] = {"services": {program.name: program.address for program in programs}, "data": str(data)}
    if plan.present("gateway"):
        found |= {
            "proxy": plan.public_url(ports, environ),
            "operator": f"http://127.0.0.1:{ports.operator}",
            "operator_key_file": str(plan.operator_key(data)),
            "data_plane": _data_plane(environ)[0],
        }
    return found


def table(programs: Sequence[Program], ports: Ports, data: Path, environ: Mapping[str, str] = os.environ) -> str:
    rows = [("service", "address", "health")]
    rows += [(name, address, "healthy") for name, address in addresses(programs, ports, environ).items()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    lines = ["", *lines, ""]
    if plan.present("gateway"):
        key = environ.get("GATEWAY_OPERATOR_KEY_FILE") or (
            "GATEWAY_OPERATOR_KEY" if "GATEWAY_OPERATOR_KEY" in environ else plan.operator_key(data)
        )
        lines.append(f"operator key   {_short(key)}")
        data_plane, why = _data_plane(environ)
        lines.append(f"data plane     {data_plane}" + (f" ({why})" if why else ""))
    if plan.present("auth") and "AUTH_ADMIN_PASSWORD" not in environ:
        email = environ.get("AUTH_ADMIN_EMAIL", "admin@gatehouse.local")
        lines.append(f"administrator  {email}, password in {_short(data / 'auth' / 'admin.password')}")
    lines.append(f"logs           {_short(data / 'log')}")
    if plan.present("gateway") and "GATEWAY_DEFINITIONS" not in environ:
        url = plan.public_url(ports, environ)
        curl = "curl -ik" if url.startswith("https:") else "curl -i"
        lines += ["", f"try            {curl} {url}/example/reply/status"]
        if url.startswith("https:"):
            lines.append("               -k accepts any certificate; to have it checked: --cacert FILE and a name that it holds")
    return "\n".join([*lines, "", "Ctrl-C stops everything"])


def _data_plane(environ: Mapping[str, str]) -> tuple[str, str]:
    """Return which of the two the gateway runs, and why it is not the compiled one although there is a build."""
    from services.gateway.machine_code import chosen  # a tree need not have the gateway

    found = chosen(environ)
    return found.data_plane, found.why


def _short(path: Path | str) -> str:
    """A path as one would type it here."""
    with contextlib.suppress(ValueError, TypeError):
        return str(Path(path).relative_to(ROOT))
    return str(path)
