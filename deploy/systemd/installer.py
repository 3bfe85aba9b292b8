"""Changes to the machine, each told in a line and each made only where it is needed: what `install.py` is written in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn


def stop(*lines: str) -> NoReturn:
    """Say why it cannot be installed, and end."""
    sys.stderr.write("install: " + "\n         ".join(lines) + "\n")
    raise SystemExit(1)


class Installer:
    """Makes the changes, or only tells them. Paths are those of the installed system.

    root: the folder that stands for `/`; None is the running system. dry: tell only. changes: how many lines were told.
    """

    def __init__(self, root: Path | None, *, dry: bool) -> None:
        self.root = root
        self.dry = dry
        self.changes = 0

    def at(self, path: str) -> Path:
        """Return where a path of the installed system is now."""
        return Path(f"{self.root or ''}{path}")

    def say(self, what: str) -> None:
        self.changes += 1
        print(what, flush=True)

    def folder(self, path: str, mode: int) -> None:
        """Create a folder unless it is there."""
        if not self.at(path).is_dir():
            self.say(f"create {path}/")
            if not self.dry:
                self.at(path).mkdir(parents=True)
                self.at(path).chmod(mode)

    def file(self, path: str, content: bytes, mode: int, *, keep: bool = False) -> None:
        """Write a file unless it is there as it should be. keep: one that is there is the administrator's."""
        target = self.at(path)
        if target.exists() and (keep or target.read_bytes() == content):
            return
        self.say(f"{'replace' if target.exists() else 'create'} {path}")
        if not self.dry:
            target.parent.mkdir(parents=True, exist_ok=True)
            new = target.with_name(f".{target.name}.new")
            new.write_bytes(content)
            new.chmod(mode)
            new.replace(target)

    def link(self, path: str, to: str) -> None:
        """Point a link to another place, in one step."""
        target = self.at(path)
        if target.is_symlink() and os.readlink(target) == to:
            return
        self.say(f"link {path} -> {to}")
        if not self.dry:
            target.parent.mkdir(parents=True, exist_ok=True)
            new = target.with_name(f".{target.name}.new")
            new.unlink(missing_ok=True)
            new.symlink_to(to)
            new.replace(target)

    def remove(self, path: str) -> None:
        """Remove a file, a link or a folder with all that is in it."""
        target = self.at(path)
        if not (target.exists() or target.is_symlink()):
            return
        self.say(f"remove {path}")
        if not self.dry:
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            else:
                target.unlink()

    def system(self, what: str, *command: str, told: bool = True) -> None:
        """Run a program that changes the running system; nothing when `root` is only a folder.

        told: False when this run gave no reason for it: an earlier one may have been stopped before it.
        """
        if self.root is None:
            if told:
                self.say(what)
            if not self.dry:
                run(*command)


def run(*command: str, environment: dict[str, str] | None = None) -> str:
    """Run a program and return what it wrote. Ends the process with its last lines when it fails."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **(environment or {})}, check=False
    )
    if done.returncode:
        lines = done.stdout.splitlines()
        stop(f"{' '.join(command[:4])} … ended with status {done.returncode}:", *([one for one in lines if "rror" in one] or lines)[-6:])
    return done.stdout
