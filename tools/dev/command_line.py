"""`./dev auth` and such: a service's command line, in the house that `./dev up` started with these `--data` and `--port-base`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.dev import plan


def main(service: str, given: Sequence[str]) -> int:
    """Become the service's program."""
    parser = argparse.ArgumentParser(f"./dev {service}", add_help=False, allow_abbrev=False)
    plan.add_place(parser)
    options, rest = parser.parse_known_args(given)
    environment = dict(os.environ)
    if options.data is not None or options.port_base is not None:
        environment = of_house(service, plan.data_of(options), plan.ports_of(options))
    os.execve(sys.executable, [sys.executable, "-m", f"services.{service}.cli", *rest], environment)


def of_house(service: str, data: Path, ports: plan.Ports) -> dict[str, str]:
    """Return the environment in which the service's program works on that house."""
    [program] = [one for one in plan.programs(ports, data, 1) if one.name == service]
    if service == "gateway":
        program.env.setdefault("GATEHOUSE_URL", f"http://127.0.0.1:{ports.operator}")
        program.env.setdefault("GATEHOUSE_KEY_FILE", str(plan.operator_key(data)))
    if service == "mobility":
        program.env.setdefault("GATEHOUSE_MOBILITY_URL", f"{plan.public_url(ports)}/mobility")
        program.env.setdefault("GATEHOUSE_ADMIN_PASSWORD_FILE", str(data / "auth" / "admin.password"))
        program.env.setdefault("GATEHOUSE_IMPORTS", str(data / "mobility" / "imports"))
    return program.env
