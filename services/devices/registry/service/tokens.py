"""The tokens of devices."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.common.clock import Clock
from services.common.database import Database
from services.devices import refusals
from services.devices.known import Changes
from services.devices.master_key import Seals
from services.devices.models import Device, DeviceToken
from services.devices.registry.rules import ids
from services.devices.registry.rules import tokens as rules
from services.devices.registry.store import tokens as store

_SEAL = "serial"


class DeviceTokens:
    """The tokens of all devices. Thread-safe."""

    def __init__(self, database: Database, changes: Changes, seals: Seals, clock: Clock) -> None:
        self._database = database
        self._changes = changes
        self._seals = seals
        self._clock = clock

    def add_default(self, session: Session, device: Device, serial: str | None) -> str:
        """Give a new device its first token, and return it. Raises Refusal 409."""
        now = self._clock.now()
        token = rules.new_token()
        row = DeviceToken(
            id=ids.new_id(),
            device_no=device.no,
            account=device.account,
            name=rules.DEFAULT_NAME,
            permission="full",
            digest=rules.digest(token),
            last_four=token[-4:],
            serial=serial,
            created_at=now,
            updated_at=now,
        )
        if serial is not None:
            row.sealed = self._seals.get(_SEAL).seal(token.encode(), row.id)
        try:
            store.add(session, row)
        except IntegrityError:
            raise refusals.serial_taken() from None
        return token
