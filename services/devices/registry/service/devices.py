"""The devices of an account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from services.common.clock import Clock
from services.common.database import Database
from services.devices import access, refusals
from services.devices.access import Caller, DeviceRef, read_device
from services.devices.known import Changes, Known
from services.devices.models import Device
from services.devices.registry.rules import ids
from services.devices.registry.service.tokens import DeviceTokens
from services.devices.registry.store import devices as store


class Created(NamedTuple):
    """A new device, and its first token, which is shown this once."""

    id: str
    token: str


class Registry:
    """The devices. Thread-safe."""

    def __init__(self, database: Database, tokens: DeviceTokens, changes: Changes, clock: Clock) -> None:
        self._database = database
        self._tokens = tokens
        self._changes = changes
        self._clock = clock
        self._known: Known[DeviceRef] = changes.known()

    def create(self, caller: Caller, given: Mapping[str, Any]) -> Created:
        """Create a device with a token that may do everything and never ends. given: as the schema `NewDevice` reads it.

        Raises Refusal 403, and 409 for a serial number that is taken.
        """
        access.require_device(caller, None, "create")
        now = self._clock.now()
        immutable = given["type"] == "immutable"

        def work(session: Session) -> Created:
            device = Device(
                id=ids.new_id(),
                account=caller.account,
                name=given["name"],
                name_key=given["name"].casefold(),
                description=given.get("description"),
                type=given["type"],
                network=given.get("network"),
                connector=given.get("connector"),
                chunk_period=given["chunk_period"] if immutable else None,
                chunk_retention=given["chunk_retention"] if immutable else None,
                active=given.get("active", True),
                visible=given.get("visible", True),
                tags=given.get("tags", []),
                payload_decoder=given.get("payload_decoder"),
                created_at=now,
                updated_at=now,
            )
            store.add(session, device)
            return Created(device.id, self._tokens.add_default(session, device, given.get("serie_number")))

        return self._database.run(work)

    def device(self, caller: Caller, device_id: str) -> DeviceRef:
        """Find a device of the caller's account, as it was at most a second ago.

        Raises Refusal 404 for one that is not there or another account's, 403 for one that the caller's policy leaves out.
        """
        found = self._known.get(device_id, lambda: self._look_up(device_id)) if ids.is_id(device_id) else None
        if found is None or found.account != caller.account:
            raise refusals.invalid_device_id()
        access.require_device(caller, device_id)
        return found

    def whole(self, caller: Caller, device_id: str) -> store.Whole:
        """Read all about a device. Raises as `device`."""
        ref = self.device(caller, device_id)
        return self.by_number(ref.no)

    def by_number(self, number: int) -> store.Whole:
        """Read all about the device of this number. Raises Refusal 404."""
        with self._database.read() as session:
            found = store.whole(session, number)
        if found is None:
            raise refusals.invalid_device_id()
        return found

    def _look_up(self, device_id: str) -> DeviceRef | None:
        with self._database.read() as session:
            device = store.get(session, device_id)
        return None if device is None else read_device(device)
