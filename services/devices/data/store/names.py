"""The names of variables, remembered: a number never changes its name, and new ones have higher numbers."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.orm import Session

from services.devices.data.store import reading

_MOST: Final = 200_000  # names of all devices that a process remembers: some 40 MB


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables of a device, each way. Never changed: what learns more makes another one."""

    names: dict[int, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    last: int = 0


class Names:
    """The variables of all devices, as far as they were asked for. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[int, Variables] = {}
        self._count = 0

    def all(self, session: Session, device_no: int) -> Variables:
        """Return all variables that a device has now."""
        known = self.known(device_no)
        new = reading.variables(session, device_no, known.last)
        if not new:
            return known
        found = Variables({**known.names, **dict(new)}, {**known.numbers, **{name: number for number, name in new}}, new[-1][0])
        with self._lock:
            if self._count > _MOST:
                self._known, self._count = {}, 0
            self._known[device_no] = found
            self._count += len(new)
        return found

    def known(self, device_no: int) -> Variables:
        """Return what is known of a device's variables, without asking."""
        return self._known.get(device_no) or Variables()

    def some(self, session: Session, device_no: int, names: Iterable[str]) -> Variables:
        """Return the variables of a device, the ones of these names among them, if it has them."""
        known = self.known(device_no)
        return known if all(name in known.numbers for name in names) else self.all(session, device_no)
