"""Find a device of the caller's account."""

from __future__ import annotations

from services.common.database import Database
from services.devices import access, refusals
from services.devices.access import Caller, DeviceRef, read_device
from services.devices.known import Changes, Known
from services.devices.registry.rules import ids
from services.devices.registry.rules.policies import Need
from services.devices.registry.store import devices as store


class Finder:
    """Finds devices by their ids. Thread-safe. A device is remembered for a second, and forgotten when it changes."""

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database = database
        self._known: Known[DeviceRef] = changes.known()

    def device(self, caller: Caller, device_id: str, need: Need | None = None) -> DeviceRef:
        """Find a device of the caller's account. need: what the caller's policy must allow; None: what the call came to do.

        Raises Refusal 404 for one that is not there or another account's, 403 for one that the policy leaves out.
        """
        found = self._known.get(device_id, lambda: self._look_up(device_id)) if ids.is_id(device_id) else None
        if found is None or found.account != caller.account:
            raise refusals.invalid_device_id()
        access.require_device(caller, device_id, need)
        return found

    def _look_up(self, device_id: str) -> DeviceRef | None:
        with self._database.read() as session:
            device = store.get(session, device_id)
        return None if device is None else read_device(device)
