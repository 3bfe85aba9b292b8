"""`python -m services.common.reseal SERVICE`: seal all secrets of its database with the first line of its master key."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Final

from services.common import logging as logs
from services.common import startup
from services.common.resealing import Lost, Resealed
from services.common.settings import SettingsError, load_or_exit

_LEAVE: Final = "--leave-lost"


def main(arguments: list[str]) -> int:
    """Do as the command line says; return the exit status."""
    leave_lost = _LEAVE in arguments
    names = [one for one in arguments if one != _LEAVE]
    if len(names) != 1:
        sys.stderr.write(f"usage: python -m services.common.reseal SERVICE [{_LEAVE}]\n")
        return 2
    service = names[0]
    if not (Path(__file__).resolve().parents[1] / service / "resealing.py").is_file():
        sys.stderr.write(f"{service}: no such service, or it seals nothing\n")
        return 2
    settings = load_or_exit(service, importlib.import_module(f"services.{service}.settings").load)
    logs.configure(service, "WARNING")
    try:
        found: Resealed = importlib.import_module(f"services.{service}.resealing").run(settings, leave_lost=leave_lost)
    except SettingsError as error:
        sys.stderr.write(f"{service}: nothing has changed: {error}\n")
        return 1
    except Lost as error:
        sys.stderr.write(f"{service}: {error}\n")
        return 1
    except startup.FAILURES as error:
        sys.stderr.write(f"{service}: nothing has changed: {startup.in_a_line(service, error)}\n")
        return 1
    left = f"; left {found.lost} that no key opens" if found.lost else ""
    sys.stdout.write(f"{service}: sealed {found.again} secrets again; {found.already} were sealed with this key already{left}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
