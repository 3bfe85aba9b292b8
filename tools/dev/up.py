"""`./dev up`: the whole house on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from services.common import logging
from services.common.private_files import private_folder
from tools.dev import children, migrating, plan, shown
from tools.dev.children import Child, is_loud, readable, say, stop
from tools.dev.claim import Claim, Taken
from tools.dev.environment import STOPPING, heeded
from tools.dev.guard import Guard
from tools.dev.plan import ROOT, Ports, Program
from tools.dev.valkey import Valkey

START_DEADLINE_S = 60.0
_MISSING = re.compile(r"No module named '?((?!services|tools|deploy)\w+)")
_ERROR = re.compile(r"^\s*([\w.]*(?:Error|Exception)\b.*)$", re.MULTILINE)
_TRACE = "Traceback (most recent call last):"


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
    for number in heeded():
        signal.signal(number, lambda number, _: _signals.append(number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    options = _arguments(given)
    children.leave_standard_output(options.json)
    house = House()
    try:
        _run(options, house)
    except _Stopped:
        say(
            "\nstopping; Ctrl-C once more does not wait for requests under way"
            if house.running
            else "\nstopped before anything was started"
        )
        return 0 if house.healthy else 128 + _signals[0]
    except (Failed, Taken, OSError) as reason:
        sys.stderr.write(f"\ndev: {reason}\n")
        return 1
    finally:
        house.stop()
    return 1


class House:
    """What runs, and what ends it when this process cannot."""

    def __init__(self) -> None:
        self.running: list[Child] = []
        self.healthy = False
        self._claim: Claim | None = None
        self._guard: Guard | None = None

    def claim(self, data: Path, ports: Ports) -> None:
        """Take the data folder. Raises Taken, OSError."""
        claim = Claim(data)
        operator = f"http://127.0.0.1:{ports.operator}"
        claim.take({"public": plan.public_url(ports), "operator": operator}, say, refuse_when_stopped)
        self._claim = claim
        self._guard = Guard([claim.descriptor])

    @property
    def keep(self) -> list[int]:
        """What everything that is started inherits."""
        return [] if self._claim is None else [self._claim.descriptor]

    def began(self, name: str, group: int) -> None:
        """Note that a process group runs."""
        if self._guard is not None and self._claim is not None:
            self._guard.watch(group)
            self._claim.add(name, group)

    def ended(self, group: int) -> None:
        """Note that a process group has ended."""
        if self._guard is not None:
            self._guard.forget(group)

    def add(self, child: Child) -> Child:
        self.running.append(child)
        self.began(child.name, child.group)
        return child

    def stop(self) -> None:
        """End everything, at once when another signal comes meanwhile."""
        heard = len(_signals)
        killed = stop(self.running, hurried=lambda: len(_signals) > heard)
        if self.running:
            say("all stopped" + (f"; had to kill {', '.join(killed)}" if killed else ""))
        if self._guard is not None:
            for child in self.running:
                self._guard.forget(child.group)
            self._guard.close()
        if self._claim is not None:
            self._claim.give_back()


def refuse_when_stopped() -> None:
    """Raise _Stopped after a signal. A signal is only noted when it comes, so that no child that is just being started is lost."""
    if _signals:
        raise _Stopped


@contextlib.contextmanager
def _in_data_folder(data: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        where = str(getattr(error, "filename", None) or data)
        why = getattr(error, "strerror", None) or str(error)
        if where != str(data):
            why = f"{where}: {why}"
        raise Failed(f"the data folder {data} cannot be used: {why}\nName another one: ./dev up --data DIR") from None


def _run(options: argparse.Namespace, house: House) -> None:
    """Until a child dies (Failed) or a signal comes (_Stopped)."""
    data, ports = plan.data_of(options), plan.ports_of(options)
    logs = data / "log"
    logging.configure("dev")
    if "?" in str(data):
        raise Failed(f"the data folder {data} cannot be used: a ? in its path would end the path in the URLs of the databases")
    with _in_data_folder(data):
        private_folder(data)
        house.claim(data, ports)
        programs = plan.programs(ports, data, options.workers)
    if not programs:
        raise Failed("there is no service to start")
    _refuse_taken_ports(programs)
    refuse_when_stopped()
    if options.workers > 1 and not os.environ.get("VALKEY_URL") and not os.environ.get("VALKEY_URL_FILE"):
        valkey = Valkey(data / "valkey")
        house.add(valkey.start(logs / "valkey.log", verbose=options.verbose, keep=house.keep))
        _wait(house, lambda: [] if valkey.answers() else ["valkey"])
        for program in programs:
            program.env["VALKEY_URL"] = valkey.url
    _migrate(programs, house)
    refuse_when_stopped()
    say("starting " + ", ".join(program.name for program in programs))
    for program in programs:
        log = logs / f"{program.name}.log"
        house.add(Child(program.name, program.command, program.env, log, ROOT, verbose=options.verbose, keep=house.keep))
    _wait(house, lambda: [program.name for program in programs if not _healthy(program)])
    house.healthy = True
    for child in house.running:
        child.settled = True
    if options.json:
        print(json.dumps(shown.as_json(programs, ports, data)), flush=True)
    else:
        say(shown.table(programs, ports, data))
    while True:
        _refuse_dead(house.running)
        time.sleep(0.25)


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


def _migrate(programs: Sequence[Program], house: House) -> None:
    say("migrating " + ", ".join(program.name for program in programs))
    done = migrating.run(programs, house.keep, refuse_when_stopped, house.began, house.ended)
    for program, status, text in done:
        if text and not status:
            say("\n".join(f"{program.name:>8} | {readable(line)}" for line in text.splitlines()))
    bad = [reason(_loud(text)) or f"{program.name}: no reason given" for program, status, text in done if status]
    if bad:
        raise Failed("nothing was started\n" + "\n".join(dict.fromkeys(bad)))


def _loud(text: str) -> str:
    return "\n".join(readable(line) for line in text.splitlines() if is_loud(line))


def reason(text: str) -> str:
    """Return what a program that ended said, in a form to act on: the last line of a stack trace."""
    missing = _MISSING.search(text)
    if missing:
        return f"the package {missing[1]} is missing in .venv. Remove .venv, and the next start makes a new one: rm -r {ROOT / '.venv'}"
    if _TRACE not in text:
        return text.strip()[-2000:]
    errors = _ERROR.findall(text)
    return errors[-1] if errors else text.strip().splitlines()[-1].strip()


def _healthy(program: Program) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=2)
    try:
        connection.request("GET", program.health)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _wait(house: House, lacking: Callable[[], list[str]]) -> None:
    """Until nothing is lacking. Raises Failed with the ends of the logs when that takes too long, or when a child dies."""
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        _refuse_dead(house.running)
        names = lacking()
        if not names:
            return
        if time.monotonic() > deadline:
            tails = "\n".join(f"  {child.name}: {child.log}\n{child.tail()}" for child in house.running if child.name in names)
            raise Failed(f"not healthy after {START_DEADLINE_S:.0f} s: {', '.join(names)}\n{tails}")
        time.sleep(0.05)


def _refuse_dead(running: Sequence[Child]) -> None:
    refuse_when_stopped()
    for child in running:
        if child.status is not None:
            ended = f"was ended by signal {-child.status}" if child.status < 0 else f"ended with status {child.status}"
            whole = child.tail(200)
            if _MISSING.search(whole) or _TRACE in whole:
                raise Failed(f"{child.name} {ended}: {reason(whole)}\nIts log: {child.log}")
            raise Failed(f"{child.name} {ended}; the end of {child.log}:\n{child.tail()}")
