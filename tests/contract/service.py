"""How the contract test starts a service, and as whom it asks. Each service says so in `services/NAME.py` beside this file."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent / "services"


@dataclass(frozen=True)
class Service:
    """A service to be asked.

    environment: its settings besides the database and the address, for a folder of its own. caller: the headers of one who may do
    everything, for the service's base URL. at_once: query parameters that keep a call from waiting. bare: calls whose 200 has no schema,
    because it has no body or an image.
    """

    environment: Callable[[Path], Mapping[str, str]]
    caller: Callable[[str], Mapping[str, str]]
    at_once: Mapping[str, object] = field(default_factory=dict)
    bare: Set[str] = frozenset()


def find(name: str) -> Service:
    """Return the service of this name. Raises ModuleNotFoundError when `services/` has no file for it."""
    found: Service = importlib.import_module(f"tests.contract.services.{name}").SERVICE
    return found


def names() -> set[str]:
    """Return the names of all services that can be asked."""
    return {path.stem for path in FOLDER.glob("*.py")}
