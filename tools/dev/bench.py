"""`./dev bench [gateway | auth | tokens | all]`: the load suite, one part after another."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from tools.dev.steps import ROOT


def parts() -> list[str]:
    """What can be measured: each module of bench/."""
    return sorted(path.stem for path in (ROOT / "bench").glob("*.py") if not path.stem.startswith("_"))


def main(arguments: Sequence[str]) -> int:
    name, rest = (arguments[0], arguments[1:]) if arguments and not arguments[0].startswith("-") else ("all", arguments)
    known = parts()
    if name != "all" and name not in known:
        sys.stderr.write(f"dev: there is no bench {name!r}; there are: {', '.join(known)}, all\n")
        return 64
    worst = 0
    for one in known if name == "all" else [name]:
        worst = max(worst, subprocess.run([sys.executable, "-m", f"bench.{one}", *rest], cwd=ROOT, check=False).returncode)
    return worst
