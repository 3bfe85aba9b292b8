#!/usr/bin/env python3
"""Install Gatehouse as services of systemd, from this checkout: `sudo deploy/systemd/install.py`.

Run it again to finish an installation, and from a newer checkout to upgrade. It replaces programs and units, and never a setting, a secret
or data. It starts and stops nothing, but for --uninstall. Standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

SOURCE = Path(__file__).resolve().parents[2]
CARRIED = ("services", "deploy/apis", "deploy/webhooks", "deploy/systemd", "deploy/make-secrets", "deploy/gunicorn.gateway.py",
           "deploy/gunicorn.service.py", "requirements/base.txt", "pyproject.toml")  # fmt: skip
SERVICES = ("auth", "sessions", "tokens", "devices", "mobility")
UNITS = ("gatehouse.target", "gatehouse-gateway.service", *(f"gatehouse@{name}.service" for name in SERVICES))

PROGRAMS, CONFIGURATION, DATA = "/opt/gatehouse", "/etc/gatehouse", "/var/lib/gatehouse"
UNIT_FOLDER, ACCOUNTS, COMMAND = "/usr/local/lib/systemd/system", "/etc/sysusers.d/gatehouse.conf", "/usr/local/bin/gatehouse"
LEAST_SYSTEMD = 250  # %d, the folder of credentials


def stop(*lines: str) -> NoReturn:
    """Say why it cannot be installed, and end."""
    sys.stderr.write("install: " + "\n         ".join(lines) + "\n")
    raise SystemExit(1)


@dataclass(frozen=True)
class Release:
    """What is installed, named by its version and its content: the same checkout is the same release."""

    name: str
    files: dict[str, Path]

    @classmethod
    def of(cls, source: Path) -> Release:
        files = {str(path.relative_to(source)): path for path in sorted(_carried(source))}
        digest = hashlib.sha256()
        for name, path in files.items():
            digest.update(f"{name}\0{os.access(path, os.X_OK)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
        version = re.search(r'^version = "(.+)"', (source / "pyproject.toml").read_text(), re.M)
        return cls(f"{version[1] if version else 0}-{digest.hexdigest()[:8]}", files)


def _carried(source: Path) -> Iterator[Path]:
    for name in CARRIED:
        path = source / name
        for one in [path] if path.is_file() else path.rglob("*"):
            if one.is_file() and "__pycache__" not in one.parts:
                yield one


def _commit() -> str | None:
    """Return the commit of the checkout; None when it is none, or when it was changed."""
    git = ["git", "-c", f"safe.directory={SOURCE}", "-C", str(SOURCE)]
    try:
        changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
        return None if changed else subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


class Installer:
    """Takes the steps, or only tells them. Each writes a line when it changes something, and nothing when all is as it should be."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.dry: bool = options.dry_run
        self.changes = 0

    def at(self, path: str) -> Path:
        """Return where a path of the installed system is now: below --root."""
        return Path(f"{self.options.root or ''}{path}")

    def say(self, what: str) -> None:
        self.changes += 1
        print(what, flush=True)

    def folder(self, path: str, mode: int) -> None:
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
        """Point a link to another place in one step."""
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
        target = self.at(path)
        if not (target.exists() or target.is_symlink()):
            return
        self.say(f"remove {path}")
        if not self.dry:
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            else:
                target.unlink()

    def run(self, *command: str, environment: dict[str, str] | None = None) -> str:
        """Run a program; return what it wrote. Ends with its last lines when it fails."""
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **(environment or {})}, check=False
        )
        if done.returncode:
            last = [line for line in done.stdout.splitlines() if "ERROR" in line or "rror:" in line] or done.stdout.splitlines()
            stop(f"{' '.join(command[:4])} … ended with status {done.returncode}:", *last[-6:])
        return done.stdout

    def system(self, what: str, *command: str) -> None:
        """Run a program that changes the running system: not below --root, which is only a folder."""
        if self.options.root is None:
            self.say(what)
            if not self.dry:
                self.run(*command)


def install(steps: Installer) -> None:
    """Take all steps in the order in which a stop between two of them leaves what runs as it is."""
    release = Release.of(SOURCE)
    before = _name(steps.at(f"{PROGRAMS}/current"))
    place(steps, release)
    environment(steps, release)
    units = accounts_settings_units(steps)
    if before and before != release.name:
        steps.link(f"{PROGRAMS}/previous", f"releases/{before}")
    steps.link(f"{PROGRAMS}/current", f"releases/{release.name}")
    steps.link(COMMAND, f"{PROGRAMS}/current/deploy/systemd/gatehouse")
    if units:
        steps.system("systemctl daemon-reload", "systemctl", "daemon-reload")
    _remove_old(steps)
    if not steps.changes:
        print(f"Nothing to do: {release.name} is installed.")
    elif before is None:
        print(
            f"\nGatehouse {release.name} is installed and not started. Next:\n"
            f"  sudo editor {CONFIGURATION}/gatehouse.env     # and those beside it; SQLite and one worker need none of it\n"
            "  sudo systemctl enable --now gatehouse.target\n"
            "  curl -i http://127.0.0.1:8080/example/reply/status"
        )
    else:
        print(f"\nGatehouse {release.name} is installed. Next: sudo systemctl restart gatehouse.target")


def _name(link: Path) -> str | None:
    return Path(os.readlink(link)).name if link.is_symlink() else None


def place(steps: Installer, release: Release) -> None:
    """Copy the release to a folder of its own, readable by all, written by root alone."""
    folder = f"{PROGRAMS}/releases/{release.name}"
    if steps.at(folder).is_dir():
        return
    steps.say(f"copy {len(release.files)} files to {folder}/")
    if steps.dry:
        return
    new = steps.at(f"{PROGRAMS}/releases/.{release.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    for name, path in release.files.items():
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        (new / name).write_bytes(path.read_bytes())
        (new / name).chmod(0o755 if os.access(path, os.X_OK) else 0o644)
    (new / "var").symlink_to(DATA)  # the defaults of the settings are var/…
    if commit := _commit():
        (new / "release.env").write_text(f"GIT_SHA={commit}\n")
    new.rename(steps.at(folder))


def environment(steps: Installer, release: Release) -> None:
    """Make the release's virtual environment, with the pinned packages and nothing that installs others."""
    if steps.options.no_venv:
        return
    folder = f"{PROGRAMS}/releases/{release.name}"
    venv, python = steps.at(f"{folder}/venv"), str(steps.at(f"{folder}/venv/bin/python"))
    stamp, wanted = venv / "complete", f"Python {sys.version_info[0]}.{sys.version_info[1]}\n"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    wheels = ["--no-index", "--find-links", str(steps.options.wheels.resolve())] if steps.options.wheels else []
    steps.say(f"install the packages of requirements/base.txt into {folder}/venv/" + (f" from {steps.options.wheels}" if wheels else ""))
    if steps.dry:
        return
    steps.run(sys.executable, "-m", "venv", "--clear", str(venv))
    pip = (python, "-m", "pip", "--no-input", "--disable-pip-version-check")
    pinned = str(steps.at(f"{folder}/requirements/base.txt"))
    steps.run(*pip, "install", "--quiet", "--no-cache-dir", "--require-hashes", *wheels, "-r", pinned)
    steps.run(*pip, "uninstall", "--quiet", "--yes", "pip", "setuptools")
    steps.run(python, "-m", "compileall", "-q", str(steps.at(f"{folder}/services")), str(steps.at(f"{folder}/deploy")))
    stamp.write_text(wanted)
    if subprocess.run([python, "-c", "import cairosvg"], capture_output=True, check=False).returncode:
        print("  Note: tokens draws its pictures with the library cairo, which is not here. On Debian: apt install libcairo2")


def accounts_settings_units(steps: Installer) -> bool:
    """Write what lies outside /opt/gatehouse; return whether a unit changed."""
    here = SOURCE / "deploy/systemd"
    before = steps.changes
    steps.file(ACCOUNTS, (here / "sysusers.conf").read_bytes(), 0o644)
    if steps.changes > before:
        steps.system("create the accounts gatehouse-*", "systemd-sysusers", str(steps.at(ACCOUNTS)))
    steps.folder(CONFIGURATION, 0o755)
    for path in sorted((here / "env").iterdir()):
        steps.file(f"{CONFIGURATION}/{path.name}", path.read_bytes(), 0o640, keep=True)
    secrets(steps)
    before = steps.changes
    wanted = {f"{UNIT_FOLDER}/{path.relative_to(here / 'units')}": path for path in sorted((here / "units").rglob("*")) if path.is_file()}
    for name, path in wanted.items():
        steps.file(name, path.read_bytes(), 0o644)
    for name in _installed_units(steps):
        if name not in wanted:
            steps.remove(name)
    return steps.changes > before


def _installed_units(steps: Installer) -> list[str]:
    folder = steps.at(UNIT_FOLDER)
    ours = [path for top in sorted(folder.glob("gatehouse[@.-]*")) for path in ([top] if top.is_file() else sorted(top.rglob("*")))]
    return [f"{UNIT_FOLDER}/{path.relative_to(folder)}" for path in ours if path.is_file()]


def secrets(steps: Installer) -> None:
    """Make the secrets that are missing. Only root reads them: systemd hands each service its own (LoadCredential=)."""
    folder = f"{CONFIGURATION}/secrets"
    if steps.dry:
        print(f"write to {folder}/ which secrets are missing")
        return
    here = {"POSTGRES_HOST": "127.0.0.1", "VALKEY_HOST": "127.0.0.1"}
    told = steps.run(str(SOURCE / "deploy/make-secrets"), str(steps.at(folder)), environment={**here, **os.environ})
    for line in told.splitlines():
        if line.startswith(("created", "written")):
            steps.say(line.replace(str(steps.at("/etc")), "/etc"))
    for path in steps.at(folder).iterdir():
        path.chmod(0o600)


def _remove_old(steps: Installer) -> None:
    """Remove the releases that neither `current` nor `previous` names."""
    named = {_name(steps.at(f"{PROGRAMS}/{link}")) for link in ("current", "previous")}
    folder = steps.at(f"{PROGRAMS}/releases")
    for path in sorted(folder.iterdir()) if folder.is_dir() and not steps.dry else []:
        if path.name not in named:
            steps.remove(f"{PROGRAMS}/releases/{path.name}")


def go_back(steps: Installer) -> None:
    """Exchange `current` and `previous`."""
    current, previous = (_name(steps.at(f"{PROGRAMS}/{link}")) for link in ("current", "previous"))
    if current is None or previous is None:
        stop("there is no release to go back to")
    steps.link(f"{PROGRAMS}/current", f"releases/{previous}")
    steps.link(f"{PROGRAMS}/previous", f"releases/{current}")
    print("Next: sudo systemctl restart gatehouse.target")


def uninstall(steps: Installer) -> None:
    """Stop the services, remove programs and units; keep settings, secrets, data, logs and accounts."""
    units = _installed_units(steps)
    if units:
        steps.system("stop and disable the services", "systemctl", "disable", "--now", "--quiet", *UNITS)
    for name in units:
        steps.remove(name)
    for folder in sorted(steps.at(UNIT_FOLDER).glob("gatehouse*.d")):
        steps.remove(f"{UNIT_FOLDER}/{folder.name}")
    for path in (COMMAND, PROGRAMS, ACCOUNTS):
        steps.remove(path)
    if units:
        steps.system("systemctl daemon-reload", "systemctl", "daemon-reload")
    print(f"Kept: settings and secrets in {CONFIGURATION}, data in {DATA}, logs in /var/log/gatehouse, the accounts gatehouse-*.")


def check(options: argparse.Namespace) -> None:
    """Refuse what would fail half-way."""
    if options.root is None and not options.dry_run and os.geteuid() != 0:
        stop("must run as root: sudo deploy/systemd/install.py; --dry-run needs no root")
    if options.wheels is not None and not options.wheels.is_dir():
        stop(f"{options.wheels} is not a folder; fill one with: pip download --require-hashes -r requirements/base.txt -d wheels")
    if options.root is None and not options.dry_run:
        try:
            told = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            told = ""
        found = re.search(r"systemd (\d+)", told)
        if found is None or int(found[1]) < LEAST_SYSTEMD:
            stop(f"needs systemd {LEAST_SYSTEMD} or later and found {found[1] if found else 'none'}")


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036  an older one runs this file, too
        stop(f"needs CPython 3.11 or later and is {sys.version.split()[0]}; name one: sudo python3.11 deploy/systemd/install.py")
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0], allow_abbrev=False)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--back", action="store_true", help="go back to the release before the upgrade")
    what.add_argument("--uninstall", action="store_true", help="stop and remove the services; keeps settings, secrets and data")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="take the packages from this folder, without network")
    parser.add_argument("--root", type=Path, metavar="DIR", help="install below DIR, as for a package; creates no account, starts nothing")
    parser.add_argument("--no-venv", action="store_true", help="make no virtual environment")
    options = parser.parse_args()
    check(options)
    os.umask(0o022)
    if options.dry_run:
        print("Nothing is changed; this would be done:")
    (go_back if options.back else uninstall if options.uninstall else install)(Installer(options))


if __name__ == "__main__":
    main()
