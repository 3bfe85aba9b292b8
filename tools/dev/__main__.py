"""`./dev COMMAND …`: find the command and run it."""

from __future__ import annotations

import importlib
import platform
import signal
import sys
import tomllib
from pathlib import Path

from tools.dev import command_line, upkeep

HELP = """\
./dev up       start the gateway and its services, with everything they need; Ctrl-C stops all of them
                 --workers N     worker processes of the gateway (default 1; more than one uses Valkey, its own if none is set)
                 --data DIR      databases, keys and logs (default var)
                 --port-base N   proxy on N, operator port on N+1, services on N+21 to N+25 (default 8080, 8081, 8101 to 8105)
                 --verbose       every log line on the terminal, not only warnings
                 --json          where everything is as one JSON line instead of a table
./dev test     everything that passes without Docker: what check does, and all tests on SQLite, PostgreSQL and Valkey
                 ./dev test tests/unit/gateway -k ip     these only (arguments go to pytest)
                 ./dev test --retry-alone                run a failed test again, alone; one that passes then is only reported, as FLAKY
                 ./dev test --compose                    the system tests against the containers; needs a Docker engine
./dev check    the fast part: lint, format, imports, types, architecture, unit tests on SQLite and Valkey
./dev build    compiles the data plane of the gateway (about a third less CPU a request); needs a C compiler and Python's headers
./dev bench    the load suite: ./dev bench [attacks | auth | commits | gateway | tokens | all]
./dev gateway  the command line of the gateway's operator: ./dev gateway --help
./dev auth     the command line of the auth service: ./dev auth --help
./dev mobility imports GTFS and GeoJSON: ./dev mobility import --help
./dev backup   copies of the SQLite databases, while everything runs: ./dev backup FOLDER [SERVICE ...]
./dev restore  puts them back; first stop ./dev up: ./dev restore FOLDER [SERVICE ...]
./dev reseal   after a master key has a new first line: ./dev reseal [SERVICE ...]
                 these six take the --data and --port-base that ./dev up was started with
./dev help     this text; ./dev --version
"""
_PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def main(arguments: list[str]) -> int:
    command, rest = (arguments[0], arguments[1:]) if arguments else ("help", [])
    if command == "up":  # the only one that hears signals in its own way
        return _run(command, rest)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    if command in ("help", "--help", "-h"):
        print(HELP, end="")
        return 0
    if command == "--version":
        print(f"gatehouse {tomllib.loads(_PROJECT.read_text())['project']['version']} (Python {platform.python_version()})")
        return 0
    if command in ("auth", "gateway", "mobility"):
        return command_line.main(command, rest)
    if command in ("backup", "restore", "reseal"):
        return upkeep.main(command, rest)
    if command == "build":
        done: int = importlib.import_module("tools.machine_code").main(rest)
        return done
    if command in ("test", "check", "bench"):
        return _run(command, rest)
    sys.stderr.write(f"dev: there is no command {command!r}\n\n{HELP}")
    return 64


def _run(command: str, rest: list[str]) -> int:
    status: int = importlib.import_module(f"tools.dev.{command}").main(rest)
    return status


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as missing:
        if str(missing.name).partition(".")[0] in ("services", "tools"):
            raise
        sys.exit(f"dev: the package {missing.name} is missing in .venv. Remove .venv, and the next start makes a new one: rm -r .venv")
