"""`./dev backup`, `./dev restore`, `./dev reseal`: the programs of `services/common` on the house that `./dev up` starts in a folder."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.dev import plan

SEALING = ("gateway", "auth", "devices")
# Whom others name by an id comes last: whoever a copy of theirs names is in its copy.
ORDER = ("sessions", "tokens", "devices", "mobility", "gateway", "auth")


def main(command: str, given: Sequence[str]) -> int:
    """Run the command for each service; return 0 when all of them have succeeded."""
    parser = argparse.ArgumentParser(f"./dev {command}", allow_abbrev=False)
    plan.add_place(parser)
    if command != "reseal":
        parser.add_argument("folder", type=Path, metavar="FOLDER", help="of the copies, SERVICE.db each")
    else:
        parser.add_argument("--leave-lost", action="store_true", help="leave what no key opens, instead of refusing")
    chosen = SEALING if command == "reseal" else ORDER
    parser.add_argument("services", nargs="*", metavar="SERVICE", help=f"these only: {', '.join(chosen)}")
    options = parser.parse_args(given)
    unknown = [name for name in options.services if name not in chosen]
    if unknown:
        parser.error(f"{unknown[0]} is none of {', '.join(chosen)}")
    programs = {one.name: one for one in plan.programs(plan.ports_of(options), plan.data_of(options), 1)}
    failed = 0
    for name in chosen:
        if name in programs and (not options.services or name in options.services):
            more = ["--leave-lost"] * options.leave_lost if command == "reseal" else [str(options.folder.absolute() / f"{name}.db")]
            run = [sys.executable, "-m", f"services.common.{command}", name, *more]
            failed |= subprocess.run(run, cwd=plan.ROOT, env=programs[name].env, check=False).returncode
    return 1 if failed else 0
