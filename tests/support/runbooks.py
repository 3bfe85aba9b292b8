"""The commands of docs/runbooks.md, read from the page, so that what is tested is what operators run."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from typing import NamedTuple

from tests.support.processes import KEPT, ROOT

PAGE = ROOT / "docs" / "runbooks.md"
_HEADING = re.compile(r"#{1,4} (.+)")
_BLOCK = re.compile(r"(?P<margin> *)```sh (?P<kind>\w+)\n(?P<text>.*?)\n(?P=margin)```", re.DOTALL)


class Block(NamedTuple):
    """A block of commands. kind: the word after `sh`, which says where it runs. number: of its kind below this heading, from 1."""

    heading: str
    kind: str
    number: int
    text: str


def blocks() -> list[Block]:
    """Return all blocks of the page that have a kind, in their order."""
    text = PAGE.read_text()
    found: list[Block] = []
    for match in _BLOCK.finditer(text):
        heading = [line[1] for line in map(_HEADING.fullmatch, text[: match.start()].splitlines()) if line][-1].replace("`", "")
        number = 1 + sum((one.heading, one.kind) == (heading, match["kind"]) for one in found)
        margin = match["margin"]
        found.append(Block(heading, match["kind"], number, "\n".join(line.removeprefix(margin) for line in match["text"].splitlines())))
    return found


def run(heading: str, kind: str, number: int = 1, *, env: Mapping[str, str], status: int = 0) -> str:
    """Run one block as a shell does, up to the first command that fails; return what it said. env: the variables that the page uses."""
    [block] = [one for one in blocks() if one[:3] == (heading, kind, number)]
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=ROOT,
        env={**kept, **env, "PATH": f"{ROOT}/.venv/bin:{env.get('PATH', kept['PATH'])}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == status, f"{block.text}\n--- status {done.returncode}\n{done.stdout}"
    return done.stdout
