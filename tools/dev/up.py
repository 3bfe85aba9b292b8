"""`./dev up`: the whole house on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from services.common import logging
from services.common.private_files import private_folder
from tools.dev import plan
from tools.dev.children import Child, readable, say, stop
from tools.dev.plan import ROOT, Ports, Program
from tools.dev.valkey import Valkey

START_DEADLINE_S = 60.0


class Failed(Exception):
    """It cannot go on; the text says why."""


class _Stopped(Exception):
    """Ctrl-C, TERM, or the terminal was closed."""


_signals: list[int] = []


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("./dev up", description="Start the gateway and its services; Ctrl-C stops all of them.")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="worker processes of the gateway (default 1)")
    plan.add_place(parser)
    parser.add_argument("--verbose", action="store_true", help="every log line on the terminal, not only warnings")
    parser.add_argument("--json", action="store_true", help="print where everything is as one JSON line instead of a table")
    options = parser.parse_args(given)
    if options.workers < 1:
        parser.error("--workers must be at least 1")
    return options


def main(given: Sequence[str]) -> int:
    options = _arguments(given)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: _signals.append(number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
    children: list[Child] = []
    try:
        return _run(options, children)
    except _Stopped:
        say("\nstopping")
        return 0
    except (Failed, OSError) as reason:
        sys.stderr.write(f"\ndev: {reason}\n")
        return 1
    finally:
        killed = stop(children)
        if children:
            say("all stopped" + (f"; had to kill {', '.join(killed)}" if killed else ""))


def _refuse_when_stopped() -> None:
    """A signal is only noted when it comes, so that no child is lost between its start and our knowing of it."""
    if _signals:
        raise _Stopped


def _run(options: argparse.Namespace, children: list[Child]) -> int:
    data, ports = plan.data_of(options), plan.ports_of(options)
    logging.configure("dev")
    for folder in (data, data / "log"):
        private_folder(folder)
    programs = plan.programs(ports, data, options.workers)
    if not programs:
        raise Failed("there is no service to start")
    _refuse_taken_ports(programs)
    logs = data / "log"
    if options.workers > 1 and not os.environ.get("VALKEY_URL"):
        valkey = Valkey(data / "valkey")
        children.append(valkey.start(logs / "valkey.log", verbose=options.verbose))
        valkey.wait(children[-1])
        for program in programs:
            program.env["VALKEY_URL"] = valkey.url
    _migrate(programs)
    _refuse_when_stopped()
    for program in programs:
        children.append(Child(program.name, program.command, program.env, logs / f"{program.name}.log", ROOT, verbose=options.verbose))
    _wait_until_healthy(programs, children)
    if options.json:
        say(json.dumps(_as_json(programs, ports, data)))
    else:
        _print_table(programs, ports, data)
    _watch(children)
    return 1


def _refuse_taken_ports(programs: Sequence[Program]) -> None:
    taken = []
    for program in programs:
        for host, port in program.ports:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((host, port))
                except OSError as error:
                    taken.append(f"  {host}:{port} for {program.name}: {error.strerror}")
    if taken:
        raise Failed(
            "these addresses cannot be used:\n"
            + "\n".join(taken)
            + "\nEnd what listens there, or move everything: ./dev up --port-base 9000"
        )


def _migrate(programs: Sequence[Program]) -> None:
    say("migrating " + ", ".join(program.name for program in programs))

    def one(program: Program) -> tuple[Program, subprocess.CompletedProcess[str]]:
        command = [sys.executable, "-m", "services.common.migrate", program.name]
        return program, subprocess.run(command, cwd=ROOT, env=program.env, capture_output=True, text=True, check=False)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        done = list(pool.map(one, [program for program in programs if (ROOT / "services" / program.name / "migrations").is_dir()]))
    for program, run in done:
        if run.stderr and not run.returncode:
            say("\n".join(f"{program.name:>8} | {readable(line)}" for line in run.stderr.splitlines()))
    bad = [(run.stderr or run.stdout).strip()[-2000:] or f"{program.name}: no reason given" for program, run in done if run.returncode]
    if bad:
        raise Failed("the databases could not be migrated\n" + "\n".join(bad))


def _healthy(program: Program) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=2)
    try:
        connection.request("GET", program.health)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _wait_until_healthy(programs: Sequence[Program], children: Sequence[Child]) -> None:
    waiting = list(programs)
    say("starting " + ", ".join(program.name for program in programs))
    deadline = time.monotonic() + START_DEADLINE_S
    while waiting:
        _refuse_dead(children)
        waiting = [program for program in waiting if not _healthy(program)]
        if time.monotonic() > deadline:
            tails = "\n".join(
                f"  {child.name}: {child.log}\n{child.tail()}" for child in children if child.name in {one.name for one in waiting}
            )
            raise Failed(f"not healthy after {START_DEADLINE_S:.0f} s: {', '.join(one.name for one in waiting)}\n{tails}")
        if waiting:
            time.sleep(0.1)


def _refuse_dead(children: Sequence[Child]) -> None:
    _refuse_when_stopped()
    for child in children:
        if child.status is not None:
            ended = f"was ended by signal {-child.status}" if child.status < 0 else f"ended with status {child.status}"
            raise Failed(f"{child.name} {ended}; the end of {child.log}:\n{child.tail()}")


def _watch(children: Sequence[Child]) -> None:
    """Until a child dies or a signal comes."""
    while True:
        _refuse_dead(children)
        time.sleep(0.25)


def _as_json(programs: Sequence[Program], ports: Ports, data: Path) -> dict[str, object]:
    found: dict[str, object] = {"services": {program.name: program.address for program in programs}, "data": str(data)}
    if plan.present("gateway"):
        found |= {
            "proxy": f"http://127.0.0.1:{ports.proxy}",
            "operator": f"http://127.0.0.1:{ports.operator}",
            "operator_key_file": str(plan.operator_key(data)),
        }
    return found


def _print_table(programs: Sequence[Program], ports: Ports, data: Path) -> None:
    rows = [("service", "address", "health")]
    for program in programs:
        if program.name == "gateway":
            rows.append(("gateway, public", f"http://127.0.0.1:{ports.proxy}", "healthy"))
            rows.append(("gateway, operator", program.address, "healthy"))
        else:
            rows.append((program.name, program.address, "healthy"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    say("\n" + "\n".join(lines) + "\n")
    if plan.present("gateway"):
        key = os.environ.get("GATEWAY_OPERATOR_KEY_FILE") or (
            "GATEWAY_OPERATOR_KEY" if "GATEWAY_OPERATOR_KEY" in os.environ else plan.operator_key(data)
        )
        say(f"operator key   {_short(key)}")
    if plan.present("auth") and "AUTH_ADMIN_PASSWORD" not in os.environ:
        email = os.environ.get("AUTH_ADMIN_EMAIL", "admin@gatehouse.local")
        say(f"administrator  {email}, password in {_short(data / 'auth' / 'admin.password')}")
    say(f"logs           {_short(data / 'log')}")
    if plan.present("gateway"):
        say(f"\ntry            curl -i http://127.0.0.1:{ports.proxy}/example/reply/status")
    say("\nCtrl-C stops everything")


def _short(path: Path | str) -> str:
    """A path as one would type it here."""
    with contextlib.suppress(ValueError, TypeError):
        return str(Path(path).relative_to(ROOT))
    return str(path)
