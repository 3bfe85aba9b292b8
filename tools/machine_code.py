"""Compiles the data plane with mypyc: `./dev build`, or `python -m tools.machine_code` where there is no `./dev`.

The result lies in `build/gateway`: one shared library, and the manifest by which the gateway knows whether it fits its sources
(services/gateway/machine_code.py). A build that fits is left alone. With --check, only what mypyc and the C compiler accept is looked at.
"""

from __future__ import annotations

import argparse
import ast
import fcntl
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

from services.gateway.machine_code import FOLDER, GROUP, MANIFEST, ROOT, Unusable, digest, read, source_of

# Below services/gateway. What a request passes; of it not what only waits for others, nor what is asked for once in a while.
_FOLDERS: Final = ("wire", "wire/heads", "routing", "middleware", "forwarding")
_FILES: Final = (
    "client_faults", "counters/memory", "counters/nodes", "counters/policies", "counters/port", "counters/resp",
    "counters/valkey", "counters/windows", "credentials", "exchange", "front_door", "header_changes", "judge", "keys/cache", "keys/model",
    "keys/organisations", "keys/policies", "observe/access_log", "observe/tallies", "ports", "refusals", "rendering", "request_ids",
    "targets",
)  # fmt: skip
# Libraries do the work of these, or other processes do.
LEFT_OUT: Final = frozenset({
    "forwarding.uptime_tests", "middleware.body_transform", "middleware.custom_auth", "middleware.custom_post",
    "middleware.custom_post_key", "middleware.custom_pre", "middleware.custom_response", "middleware.jwt", "middleware.openid",
    "middleware.response_body_transform", "wire.client_certificates", "wire.pinning", "wire.proxying", "wire.tls", "wire.wsgi",
})  # fmt: skip
_COMMON: Final = ("services.common.remembered", "services.common.trace_context")

_WORK: Final = ROOT / "build" / "work"
_CHECKED: Final = ROOT / "build" / "check"
_OPTIMISATION: Final = "2"


class Failed(Exception):
    """It cannot be compiled. The text says why."""


class Generated(NamedTuple):
    """What mypyc has written: C files, and how they are compiled."""

    files: list[Path]
    options: list[str]


def modules() -> list[str]:
    """List what is compiled, by the names of the modules."""
    gateway = ROOT / "services" / "gateway"
    found = {f"{folder.replace('/', '.')}.{path.stem}" for folder in _FOLDERS for path in (gateway / folder).glob("*.py")}
    found |= {name.replace("/", ".") for name in _FILES}
    return sorted((*_COMMON, *(f"services.gateway.{name}" for name in found - LEFT_OUT)))


def imports(module: str) -> set[str]:
    """Return the modules of this project that a module imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source_of(module).read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name for name in found if name.startswith("services.") and source_of(name).is_file()}


def manifest(compiled: Sequence[str]) -> dict[str, object]:
    """Write down what a build is made from, and by what.

    What is compiled relies on the types of what it imports, also where these come from further away. So all of that counts as well.
    """
    found, waiting = set(compiled), list(compiled)
    while waiting:
        further = imports(waiting.pop()) - found
        found |= further
        waiting += further
    return {
        "python": sys.version,
        "compiler": [version("mypy"), digest(Path(__file__))],
        "modules": {module: digest(source_of(module)) for module in compiled},
        "imports": {module: digest(source_of(module)) for module in sorted(found.difference(compiled))},
    }


def compiler() -> list[str]:
    """Return the command of the C compiler. Raises Failed when there is none, or no headers of Python."""
    named = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    for command in (named, ["cc"], ["gcc"]):
        if command and shutil.which(command[0]):
            break
    else:
        raise Failed("there is no C compiler here (Debian: apt install gcc)")
    if not Path(sysconfig.get_paths()["include"], "Python.h").is_file():
        raise Failed(f"the C headers of Python {sys.version.split()[0]} are not here (Debian: apt install python3-dev)")
    return command


def generate(compiled: Sequence[str], work: Path, *, separate: bool) -> Generated:
    """Have mypyc write C. separate: each module by itself, so that one that has not changed is not compiled again. Raises Failed."""
    work.mkdir(parents=True, exist_ok=True)
    sources = [str(source_of(module).relative_to(ROOT)) for module in compiled]
    listed = work / "sources.json"
    listed.write_text(json.dumps({"sources": sources, "work": str(work), "separate": separate}))
    done = subprocess.run(  # in a process of its own, which ends itself with a mistake, and gives back half a gigabyte
        [sys.executable, "-c", _GENERATE, str(listed)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        told = [line for line in (done.stdout + done.stderr).splitlines() if "warning: Treating generator" not in line]
        raise Failed("mypyc does not accept it:\n" + "\n".join(told[-30:]))
    written = json.loads((work / "written.json").read_text())
    return Generated([Path(one) for one in written["files"]], written["options"])


_GENERATE: Final = """
import json, sys
from pathlib import Path
from mypyc.build import mypycify

given = json.loads(Path(sys.argv[1]).read_text())
# What only is imported need not be right here: `./dev check` looks at it, with all packages.
options = ["--config-file=pyproject.toml", f"--cache-dir={given['work']}/mypy", "--follow-imports=silent"]
separate = given["separate"]
made = mypycify(
    [*options, *given["sources"]], opt_level="OPT", debug_level="0", multi_file=not separate, separate=separate, target_dir=given["work"],
    group_name=None if separate else "GROUP",
)
made = [one for one in made if one.name.endswith("__mypyc")]
files = sorted({source for one in made for source in one.sources if source.endswith(".c")})
flags = [flag for flag in made[0].extra_compile_args if flag != "-Werror"] + [f"-I{folder}" for folder in made[0].include_dirs]
Path(given["work"], "written.json").write_text(json.dumps({"files": files, "options": flags}))
""".replace("OPT", _OPTIMISATION).replace("GROUP", GROUP)


def translate(generated: Generated, objects: Path, *, check: bool) -> list[Path]:
    """Compile C, as many files at once as there are processors; what has not changed since the last time is not compiled again.

    check: look only at its syntax and types. Raises Failed.
    """
    command = [*compiler(), *generated.options, f"-I{sysconfig.get_paths()['include']}", "-fwrapv", "-DNDEBUG", "-fPIC", "-w"]
    command += ["-fsyntax-only"] if check else []
    headers = hashlib.sha256(json.dumps(command).encode())
    for header in sorted(path for folder in {file.parent for file in generated.files} for path in folder.glob("*.h")):
        headers.update(header.read_bytes())
    objects.mkdir(parents=True, exist_ok=True)

    def one(file: Path) -> Path:
        found = headers.copy()
        found.update(str(file).encode() + file.read_bytes())
        made = objects / f"{file.stem}.{found.hexdigest()[:24]}.o"
        if not made.exists():
            unfinished = made.with_suffix(".new")
            output = [] if check else ["-o", str(unfinished)]
            done = subprocess.run([*command, "-c", str(file), *output], capture_output=True, text=True, check=False)
            if done.returncode:
                raise Failed(f"the C compiler does not accept {file.name}:\n{done.stderr[-2000:]}")
            if check:
                unfinished.touch()
            unfinished.replace(made)
        return made

    largest_first = sorted(generated.files, key=lambda file: -file.stat().st_size)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        made = list(pool.map(one, largest_first))
    for old in set(objects.iterdir()) - set(made):
        old.unlink()
    return made


def link(objects: Iterable[Path], library: Path) -> None:
    """Make the shared library. Raises Failed."""
    command = [*compiler(), "-shared", "-s", *map(str, sorted(objects)), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"the library cannot be linked:\n{done.stderr[-2000:]}")


def _has_made(made_from: Mapping[str, object]) -> bool:
    """Tell whether the build that is there is made from this."""
    try:
        read(FOLDER)
        there = json.loads((FOLDER / MANIFEST).read_text())
    except (Unusable, OSError, ValueError):
        return False
    return {name: there.get(name) for name in made_from} == made_from


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Wait until no other process writes in this folder."""
    work.mkdir(parents=True, exist_ok=True)
    folder = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def build() -> bool:
    """Compile the data plane; return False when what is there is of these sources already. Raises Failed."""
    compiled = modules()
    made_from = manifest(compiled)
    if _has_made(made_from):
        return False
    compiler()
    objects = translate(generate(compiled, _WORK / "c", separate=False), _WORK / "objects", check=False)
    if manifest(compiled) != made_from:
        raise Failed("the sources have changed meanwhile; start it again")
    FOLDER.mkdir(parents=True, exist_ok=True)
    name = f"{GROUP}-{hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:12]}.so"
    # A gateway that runs keeps the library that it has: a file is never written over.
    unfinished = FOLDER / f"{name}.new"
    link(objects, unfinished)
    unfinished.replace(FOLDER / name)
    (FOLDER / f"{MANIFEST}.new").write_text(json.dumps({"library": name, "content": digest(FOLDER / name), **made_from}, indent=1) + "\n")
    (FOLDER / f"{MANIFEST}.new").replace(FOLDER / MANIFEST)
    for old in FOLDER.glob("*.so"):
        if old.name != name:
            old.unlink()
    return True


def check() -> None:
    """See whether mypyc and the C compiler, where there is one, accept the sources. Raises Failed."""
    compiled = modules()
    last, asked = _CHECKED / "accepted.json", json.dumps(manifest(compiled))
    if last.is_file() and last.read_text() == asked:
        return
    generated = generate(compiled, _CHECKED / "c", separate=True)
    try:
        compiler()
    except Failed as reason:
        print(f"only mypyc was asked: {reason}")
        return
    translate(generated, _CHECKED / "accepted", check=True)
    last.write_text(asked)


@contextmanager
def _measured(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"{what} ({time.monotonic() - began:.0f} s)", flush=True)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("./dev build", description="Compile the data plane of the gateway with mypyc, into build/gateway.")
    parser.add_argument("--check", action="store_true", help="only see whether it could be compiled")
    options = parser.parse_args(arguments)
    try:
        if options.check:
            with _alone(_CHECKED), _measured(f"{len(modules())} modules can be compiled"):
                check()
            return 0
        with _alone(_WORK), _measured(f"the data plane is compiled: {len(modules())} modules"):
            if not build():
                print("nothing has changed")
    except Failed as reason:
        sys.stderr.write(f"build: {reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
