"""Loads the data plane as machine code, where `./dev build` has compiled these very sources; otherwise the sources are imported as ever.

mypyc makes one shared library of all modules; a finder in front of the others gives each of them out of it, so nothing lies beside the
sources. A manifest says what the library was compiled from. When a source, the interpreter or the library itself is another one, it is not
loaded.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "build" / "gateway"
MANIFEST: Final = "manifest.json"
GROUP: Final = "gateway"
LIBRARY: Final = f"{GROUP}__mypyc"  # as mypyc names it
SETTING: Final = "GATEWAY_COMPILED"


class Unusable(Exception):
    """There is no build that may be loaded. The text says why."""


class Found(NamedTuple):
    """What runs. compiled: whether it is machine code. why: why a build that is there is not used, "" = it is, or there is none."""

    compiled: bool
    why: str = ""

    @property
    def data_plane(self) -> str:
        return "compiled" if self.compiled else "interpreted"


_found: Found | None = None


def running() -> Found:
    """Return what this process runs."""
    return _found or Found(False)


def install(environ: Mapping[str, str] = os.environ) -> Found:
    """Load the library when the setting and its manifest allow it; a later call changes nothing.

    To be called before the first module of the data plane is imported. Raises Unusable when the setting demands what there is not.
    """
    global _found
    if _found is None:
        wanted = environ.get(SETTING, "auto")
        if wanted == "0":
            _found = Found(False)
        else:
            try:
                _load(FOLDER)
                _found = Found(True)
            except Unusable as reason:
                if wanted == "1":
                    raise
                _found = Found(False, _told(reason))
    return _found


def chosen(environ: Mapping[str, str] = os.environ) -> Found:
    """Return what a gateway would run that starts now, in this environment, without loading anything."""
    if environ.get(SETTING, "auto") == "0":
        return Found(False)
    try:
        read(FOLDER)
    except Unusable as reason:
        return Found(False, _told(reason))
    return Found(True)


def source_of(module: str) -> Path:
    return ROOT / (module.replace(".", "/") + ".py")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits. Raises OSError."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read(folder: Path) -> tuple[Path, Sequence[str]]:
    """Return the library of a build and the modules in it. Raises Unusable when there is none, or it is not of these sources."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        python, modules = str(manifest["python"]), dict(manifest["modules"])
        library, content = folder / manifest["library"], manifest["content"]
        sources = modules | manifest["imports"]
    except FileNotFoundError:
        raise Unusable("the data plane is not compiled; ./dev build does that") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise Unusable(f"the manifest of the build cannot be read: {error!r}") from None
    if python != sys.version:
        raise Unusable(f"it was compiled for another Python: {python.split(' (')[0]}")
    for module, known in sources.items():
        if not _is(source_of(module), known):
            raise Unusable(f"{module} has changed since it was compiled; ./dev build compiles it again")
    if not _is(library, content):  # half of one could end the process that loads it
        raise Unusable("its library is not the one that was built; ./dev build makes it again")
    return library, list(modules)


def _is(path: Path, known: object) -> bool:
    try:
        return digest(path) == known
    except OSError:
        return False


def _told(reason: Unusable) -> str:
    """Return why a build is not used, "" where there is none."""
    try:
        return str(reason) if FOLDER.exists() else ""
    except OSError:  # it may not even be looked for
        return str(reason)


def _load(folder: Path) -> None:
    path, modules = read(folder)
    early = [module for module in modules if module in sys.modules]
    if early:
        raise Unusable(f"{early[0]} was imported before")
    spec = spec_from_file_location(LIBRARY, path, loader=ExtensionFileLoader(LIBRARY, str(path)))
    assert spec is not None
    assert spec.loader is not None
    try:
        library = module_from_spec(spec)
    except ImportError as error:
        raise Unusable(f"the library cannot be loaded: {error}") from None
    spec.loader.exec_module(library)
    sys.modules[LIBRARY] = library  # where its modules look for it
    sys.meta_path.insert(0, _Finder(library, frozenset(modules)))


class _Finder(MetaPathFinder, Loader):
    """Finds the modules of the library, and makes them: mypyc has left a function for each, in a capsule."""

    def __init__(self, library: ModuleType, modules: frozenset[str]) -> None:
        self._library = library
        self._modules = modules
        self._address = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_GetPointer", ctypes.pythonapi))

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname not in self._modules:
            return None
        return ModuleSpec(fullname, self, origin=str(source_of(fullname)))

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        name = f"init_{spec.name.replace('.', '___')}"
        address = self._address(getattr(self._library, name), f"{LIBRARY}.{name}".encode())
        module: ModuleType = ctypes.PYFUNCTYPE(ctypes.py_object)(address)()
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: the module was executed when it was made."""
