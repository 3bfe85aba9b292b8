"""`./dev bench [PART | all]`: the load suite, one part after another."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence

from tools.dev.steps import ROOT


def parts() -> list[str]:
    """List what can be measured: each module of bench/."""
    return sorted(path.stem for path in (ROOT / "bench").glob("*.py") if not path.stem.startswith("_"))


def main(arguments: Sequence[str]) -> int:
    name, rest = (arguments[0], arguments[1:]) if arguments and not arguments[0].startswith("-") else ("all", arguments)
    known = parts()
    if name != "all" and name not in known:
        sys.stderr.write(f"dev: there is no bench {name!r}; there are: {', '.join(known)}, all\n")
        return 64
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    worst = 0
    for one in known if name == "all" else [name]:
        worst = max(worst, _run([sys.executable, "-m", f"bench.{one}", *rest]))
    return worst


def _run(command: list[str]) -> int:
    """Run a part; return its exit status. It has servers to end: Ctrl-C reaches it from here, once, and its end is waited for."""
    child = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    try:
        return child.wait()
    except KeyboardInterrupt:
        child.send_signal(signal.SIGINT)
        child.wait()
        raise
