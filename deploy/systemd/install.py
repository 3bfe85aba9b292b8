#!/usr/bin/env -S python3 -B
"""Install Gatehouse as services of systemd, from this checkout: `sudo deploy/systemd/install.py`.

Run it again to finish an installation, and from a newer checkout to upgrade. It replaces programs and units, and never a setting, a secret
or data. It starts and stops nothing, but for --uninstall. Standard library only.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from installer import Installer, run, stop

SOURCE = Path(__file__).resolve().parents[2]
HERE = SOURCE / "deploy/systemd"
CARRIED = ("services", "deploy/apis", "deploy/policies.json", "deploy/middleware", "deploy/webhooks", "deploy/systemd",
           "deploy/make-secrets", "deploy/gunicorn.gateway.py", "deploy/gunicorn.service.py", "requirements/base.txt",
           "requirements/build.txt", "tools/machine_code.py", "pyproject.toml")  # fmt: skip
STARTED = ("gatehouse.target", "gatehouse-gateway.service", *(f"gatehouse@{path.name.split('@')[1].split('.')[0]}.service"
           for path in (HERE / "units").glob("gatehouse@?*.service.d")))  # fmt: skip

PROGRAMS, CONFIGURATION, DATA = "/opt/gatehouse", "/etc/gatehouse", "/var/lib/gatehouse"
RELEASES, ENVIRONMENTS, CURRENT, PREVIOUS = (f"{PROGRAMS}/{name}" for name in ("releases", "environments", "current", "previous"))
UNITS, ACCOUNTS, COMMAND = "/usr/local/lib/systemd/system", "/etc/sysusers.d/gatehouse.conf", "/usr/local/bin/gatehouse"
LEAST_SYSTEMD = 250  # %d, the folder of credentials


@dataclass(frozen=True)
class Release:
    """What is installed, named by its version and its content: the same checkout is the same release."""

    name: str
    environment: str  # named by the pins and the interpreter, so that an upgrade with the same pins installs no package
    files: dict[str, Path]

    @classmethod
    def of(cls, source: Path) -> Release:
        files = {str(path.relative_to(source)): path for path in sorted(_carried(source))}
        digest = hashlib.sha256()
        for name, path in files.items():
            digest.update(f"{name}\0{os.access(path, os.X_OK)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
        version = re.search(r'^version = "(.+)"', (source / "pyproject.toml").read_text(), re.M)
        pins = hashlib.sha256((source / "requirements/base.txt").read_bytes()).hexdigest()[:8]
        return cls(
            f"{version[1] if version else 0}-{digest.hexdigest()[:8]}", f"python{sys.version_info[0]}.{sys.version_info[1]}-{pins}", files
        )


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


def install(steps: Installer, options: argparse.Namespace) -> None:
    """Take all steps, in an order in which a stop between two of them leaves alone what runs."""
    release = Release.of(SOURCE)
    before = _named_by(steps, CURRENT)
    if not options.no_venv:
        make_environment(steps, release.environment, options.wheels)
    place(steps, release, compiles=not options.no_venv, wheels=options.wheels)
    make_accounts(steps)
    make_settings(steps)
    write_units(steps)
    if before and before != release.name:
        steps.link(PREVIOUS, f"releases/{before}")
    steps.link(CURRENT, f"releases/{release.name}")
    steps.link(COMMAND, f"{CURRENT}/deploy/systemd/gatehouse")
    remove_old(steps)
    if not steps.changes:
        print(f"Nothing to do: {release.name} is installed.")
    elif before is None:
        print(
            f"\nGatehouse {release.name} is installed and not started. Next:\n"
            f"  sudo editor {CONFIGURATION}/gatehouse.env      # and the files beside it; SQLite and one worker need none of them\n"
            "  sudo systemctl enable --now gatehouse.target\n"
            "  curl -i http://127.0.0.1:8080/example/reply/status"
        )
    else:
        print(f"\nGatehouse {release.name} is installed. Next: sudo systemctl restart gatehouse.target")


def _named_by(steps: Installer, link: str) -> str | None:
    """Return the release that a link names."""
    return Path(os.readlink(steps.at(link))).name if steps.at(link).is_symlink() else None


def make_environment(steps: Installer, name: str, wheels: Path | None) -> None:
    """Make a virtual environment with the pinned packages, and nothing in it that installs others."""
    folder = f"{ENVIRONMENTS}/{name}"
    venv, complete = steps.at(folder), steps.at(folder) / "complete"
    if complete.exists():
        return
    steps.say(f"install the packages of requirements/base.txt into {folder}/" + (f" from {wheels}" if wheels else ""))
    if steps.dry:
        return
    python = str(venv / "bin/python")
    run(sys.executable, "-m", "venv", "--clear", str(venv))
    pip = (python, "-m", "pip", "--no-input", "--disable-pip-version-check")
    source = ["--no-index", "--find-links", str(wheels.resolve())] if wheels else []
    run(*pip, "install", "--quiet", "--no-cache-dir", "--require-hashes", *source, "-r", str(SOURCE / "requirements/base.txt"))
    run(*pip, "uninstall", "--quiet", "--yes", "pip", "setuptools")
    if subprocess.run([python, "-c", "import cairosvg"], capture_output=True, check=False).returncode:
        print("  Note: tokens draws its pictures with the library cairo, which is not here. On Debian: apt install libcairo2")
    complete.touch()


def place(steps: Installer, release: Release, *, compiles: bool, wheels: Path | None) -> None:
    """Copy the release to a folder of its own, which all may read and root alone may write."""
    folder, environment = f"{RELEASES}/{release.name}", f"../../environments/{release.environment}"
    if steps.at(folder).is_dir():
        steps.link(f"{folder}/venv", environment)  # the system's Python may be another one by now
        return
    steps.say(f"copy {len(release.files)} files to {folder}/")
    if steps.dry:
        return
    new = steps.at(f"{RELEASES}/.{release.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    for name, path in release.files.items():
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        (new / name).write_bytes(path.read_bytes())
        (new / name).chmod(0o755 if os.access(path, os.X_OK) else 0o644)
    (new / "var").symlink_to(DATA)  # the defaults of the settings are var/…
    (new / "venv").symlink_to(environment)
    if commit := _commit():
        (new / "release.env").write_text(f"GIT_SHA={commit}\n")
    run(sys.executable, "-m", "compileall", "-q", "-s", str(new), "-p", folder, str(new / "services"), str(new / "deploy"))
    if compiles:
        compile_gateway(steps, new, wheels)
    new.rename(steps.at(folder))


def compile_gateway(steps: Installer, release: Path, wheels: Path | None) -> None:
    """Compile the data plane of the gateway, where the machine has a C compiler. Without, or when that fails, its sources run."""
    if not (shutil.which("cc") or shutil.which("gcc")):
        print("  Note: the gateway runs interpreted; a C compiler makes it faster. On Debian: apt install gcc python3-dev")
        return
    steps.say("compile the data plane of the gateway, which takes some minutes")
    with tempfile.TemporaryDirectory(prefix="gatehouse-") as folder:
        python = f"{folder}/venv/bin/python"
        source = ["--no-index", "--find-links", str(wheels.resolve())] if wheels else []
        packages = ["-r", str(release / "requirements/base.txt"), "-r", str(release / "requirements/build.txt")]
        pip = [python, "-m", "pip", "--no-input", "--disable-pip-version-check", "install", "--quiet", "--require-hashes"]
        commands = ([sys.executable, "-m", "venv", f"{folder}/venv"], [*pip, *source, *packages], [python, "-m", "tools.machine_code"])
        for command in commands:
            done = subprocess.run(command, cwd=release, capture_output=True, text=True, check=False)
            if done.returncode:
                reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
                print(f"  Note: the gateway runs interpreted; it could not be compiled: {reason}")
                shutil.rmtree(release / "build", ignore_errors=True)
                return
    shutil.rmtree(release / "build/work")


def make_accounts(steps: Installer) -> None:
    before = steps.changes
    steps.file(ACCOUNTS, (HERE / "sysusers.conf").read_bytes(), 0o644)
    steps.system("create the accounts gatehouse-*", "systemd-sysusers", ACCOUNTS, told=steps.changes > before)


def make_settings(steps: Installer) -> None:
    """Write the files of settings and make the secrets that are missing. systemd alone reads them, as root (LoadCredential=)."""
    steps.folder(CONFIGURATION, 0o755)
    for path in sorted((HERE / "env").iterdir()):
        steps.file(f"{CONFIGURATION}/{path.name}", path.read_bytes(), 0o640, keep=True)
    folder = f"{CONFIGURATION}/secrets"
    if steps.dry:
        print(f"write to {folder}/ which secrets are missing")
        return
    here = {"POSTGRES_HOST": "127.0.0.1", "VALKEY_HOST": "127.0.0.1", **os.environ}
    for line in run(str(SOURCE / "deploy/make-secrets"), str(steps.at(folder)), environment=here).splitlines():
        if line.startswith(("created", "written")):
            steps.say(line.replace(str(steps.at(folder)), folder))
    for path in steps.at(folder).iterdir():
        path.chmod(0o600)


def write_units(steps: Installer, units: Path = HERE / "units") -> None:
    before = steps.changes
    wanted = {f"{UNITS}/{path.relative_to(units)}": path for path in sorted(units.rglob("*")) if path.is_file()}
    for name, path in wanted.items():
        steps.file(name, path.read_bytes(), 0o644)
    for name in _units(steps):
        if name not in wanted:
            steps.remove(name)
    steps.system("systemctl daemon-reload", "systemctl", "daemon-reload", told=steps.changes > before)


def _units(steps: Installer) -> list[str]:
    """List the files of units and drop-ins that are installed."""
    folder = steps.at(UNITS)
    return [f"{UNITS}/{path.relative_to(folder)}" for pattern in ("*", "*.d/*") for path in sorted(folder.glob(f"gatehouse{pattern}"))
            if path.is_file()]  # fmt: skip


def remove_old(steps: Installer) -> None:
    """Remove the releases that neither `current` nor `previous` names and nothing runs from, and the environments that no release uses."""
    if steps.dry:
        return
    kept = {_named_by(steps, link) for link in (CURRENT, PREVIOUS)} | _running(steps)
    for path in sorted(steps.at(RELEASES).iterdir()):
        if path.name not in kept:
            steps.remove(f"{RELEASES}/{path.name}")
    used = {Path(os.readlink(path / "venv")).name for path in steps.at(RELEASES).iterdir()}
    for path in sorted(steps.at(ENVIRONMENTS).glob("*")):
        if path.name not in used:
            steps.remove(f"{ENVIRONMENTS}/{path.name}")


def _running(steps: Installer) -> set[str]:
    """Return the releases that processes work in: after two upgrades without a restart, it is neither `current` nor `previous`."""
    folder, found = os.path.realpath(steps.at(RELEASES)), set()
    for process in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):  # it has ended
            works_in = Path(os.readlink(process))
            if works_in.is_relative_to(folder) and works_in != Path(folder):
                found.add(works_in.relative_to(folder).parts[0])
    return found


def go_back(steps: Installer, _: argparse.Namespace) -> None:
    """Exchange `current` and `previous`, with the units: those of the newer release may start what the older one does not have."""
    current, previous = _named_by(steps, CURRENT), _named_by(steps, PREVIOUS)
    if current is None or previous is None:
        stop("there is no release to go back to")
    write_units(steps, steps.at(f"{RELEASES}/{previous}/deploy/systemd/units"))
    steps.link(CURRENT, f"releases/{previous}")
    steps.link(PREVIOUS, f"releases/{current}")
    print("Next: sudo systemctl restart gatehouse.target")


def uninstall(steps: Installer, _: argparse.Namespace) -> None:
    """Stop the services, remove programs and units; keep settings, secrets, data, logs and accounts."""
    units = _units(steps)
    if units:
        steps.system("stop and disable the services", "systemctl", "disable", "--now", "--quiet", *STARTED)
    for name in [*units, *(f"{UNITS}/{path.name}" for path in sorted(steps.at(UNITS).glob("gatehouse*.d"))), COMMAND, PROGRAMS, ACCOUNTS]:
        steps.remove(name)
    if units:
        steps.system("systemctl daemon-reload", "systemctl", "daemon-reload")
    print(f"Kept: settings and secrets in {CONFIGURATION}, data in {DATA}, logs in /var/log/gatehouse, the accounts gatehouse-*.")


def check(options: argparse.Namespace) -> None:
    """Refuse what would fail half-way, and a folder in which somebody else could change what root or the services run."""
    installs = not (options.dry_run or options.uninstall)
    for name in (PROGRAMS, CONFIGURATION, f"{CONFIGURATION}/secrets"):
        folder = Path(f"{options.root or ''}{name}")
        if installs and folder.exists() and (folder.stat().st_uid != os.geteuid() or folder.stat().st_mode & 0o022):
            stop(f"{folder} belongs to somebody else, or others may write to it: chown root: {folder}; chmod go-w {folder}")
    if options.wheels is not None and not options.wheels.is_dir():
        stop(f"{options.wheels} is not a folder; fill one with: pip download --require-hashes -r requirements/base.txt -d wheels")
    if options.root is not None or options.dry_run:
        return
    if os.geteuid() != 0:
        stop("must run as root: sudo deploy/systemd/install.py; --dry-run needs no root")
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
    (go_back if options.back else uninstall if options.uninstall else install)(Installer(options.root, dry=options.dry_run), options)


if __name__ == "__main__":
    main()
