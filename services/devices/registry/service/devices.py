"""The devices of an account: create, find, list, change, remove."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy.orm import Session

from services.common.clock import Clock
from services.common.database import Database
from services.common.store_guard import LONG_WORK_S
from services.common.wakeups import Wakeups
from services.devices import access, refusals
from services.devices.access import Caller, DeviceRef
from services.devices.data.ingest.ingest import topic
from services.devices.data.store import removal
from services.devices.known import Changes
from services.devices.models import Device
from services.devices.registry.rules import ids, listing
from services.devices.registry.service import params
from services.devices.registry.service.finding import Finder
from services.devices.registry.service.tokens import DeviceTokens
from services.devices.registry.store import devices as store
from services.devices.registry.store.devices import Whole

PROTECTED: Final = "_deletion_protection"  # the key of a tag that keeps a device from being removed
COLUMNS: Final = listing.Columns(
    known=frozenset(
        {
            "id", "profile", "name", "description", "type", "active", "visible", "network", "connector", "payload_decoder", "chunk_period",
            "chunk_retention", "tags", "bucket", "last_input", "created_at", "updated_at",
        }
    ),
    shown=("id", "name", "tags"),
    always=("id",),
    sortable=frozenset({"name", "active", "visible", "type", "created_at", "updated_at", "last_input"}),
    order="name",
)  # fmt: skip
LARGEST_PAGE: Final = 4_000_000  # characters of tags and long texts
_PLAIN: Final = ("description", "payload_decoder", "active", "visible")  # may be changed at any time
_FIXED: Final = ("type", "chunk_period")  # only `convert` changes them
_TIED: Final = ("network", "connector")  # may be changed while there is no token


class Created(NamedTuple):
    """A new device, and its first token, which is shown this once."""

    id: str
    token: str


class Registry:
    """The devices. Thread-safe."""

    def __init__(
        self,
        database: Database,
        finder: Finder,
        tokens: DeviceTokens,
        changes: Changes,
        wakeups: Wakeups,
        clock: Clock,
        *,
        account_limit: int,
    ) -> None:
        """account_limit: devices that an account may have."""
        self._account_limit = account_limit
        self._database = database
        self._finder = finder
        self._tokens = tokens
        self._changes = changes
        self._wakeups = wakeups
        self._clock = clock

    def create(self, caller: Caller, given: Mapping[str, Any]) -> Created:
        """Create a device with a token that may do everything and never ends. given: as the schema `NewDevice` reads it.

        Raises Refusal 400, 403, and 409 for a serial number that is taken.
        """
        access.require_device(caller, None, "create")
        now = self._clock.now()
        immutable = given["type"] == "immutable"

        def work(session: Session) -> Created:
            if store.has(session, caller.account, self._account_limit):  # some more, when several are created at the same moment
                raise refusals.too_many_devices(self._account_limit)
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
            params.write(session, device.no, given.get("configuration_params", []), now)
            return Created(device.id, self._tokens.add_default(session, device, given.get("serie_number")))

        return self._database.run(work)

    def device(self, caller: Caller, device_id: str) -> DeviceRef:
        """Find a device of the caller's account, as it was at most a second ago. Raises as `Finder.device`."""
        return self._finder.device(caller, device_id)

    def whole(self, caller: Caller, device_id: str) -> Whole:
        """Read all about a device. Raises as `device`."""
        return self.by_number(self.device(caller, device_id).no)

    def by_number(self, number: int) -> Whole:
        """Read all about the device of this number. Raises Refusal 404."""
        with self._database.read() as session:
            found = store.whole(session, number)
        if found is None:
            raise refusals.invalid_device_id()
        return found

    def page(self, caller: Caller, query: Iterable[tuple[str, str]]) -> tuple[list[Whole], tuple[str, ...]]:
        """Read one page of the devices that the caller may see, and which fields are asked for. Raises Refusal 400."""
        asked = listing.read(query, COLUMNS, self._clock.now())
        room = LARGEST_PAGE

        def check(device: Device) -> None:
            nonlocal room
            room -= _size(device, asked.fields)
            if room < 0:
                raise refusals.query_invalid({"amount": ["Makes the answer too large; ask for fewer devices, or fewer fields."]})

        with self._database.read() as session:
            return store.page(session, caller.account, asked, access.only_devices(caller), check), asked.fields

    def change(self, caller: Caller, device_id: str, given: Mapping[str, Any]) -> None:
        """Change a device. given: as the schema `DeviceChange` reads it. Raises Refusal 400, and as `device`."""
        number = self.device(caller, device_id).no
        now = self._clock.now()

        def work(session: Session) -> None:
            device = store.lock(session, number)
            if device is None:
                raise refusals.invalid_device_id()
            _check(session, device, given)
            for name in (*_PLAIN, *_TIED):
                if name in given:
                    setattr(device, name, given[name])
            if "name" in given:
                device.name, device.name_key = given["name"], given["name"].casefold()
            if "tags" in given:
                device.tags = given["tags"]
                store.retag(session, device)
            _retain(session, device, given.get("chunk_retention"), now)
            params.write(session, device.no, given.get("configuration_params", []), now)
            device.updated_at = now

        self._database.run(work, patience_s=LONG_WORK_S)
        self._announce(number)

    def remove(self, caller: Caller, device_id: str) -> None:
        """Remove a device with its tokens, parameters and data. Raises Refusal 400 for a protected one, and as `device`."""
        number = self._finder.device(caller, device_id, "delete").no
        now = self._clock.now()

        def work(session: Session) -> None:
            device = store.lock(session, number)
            if device is None:
                raise refusals.invalid_device_id()
            if any(tag["key"] == PROTECTED for tag in device.tags):
                raise refusals.deletion_protected()
            removal.forget(session, number, now)
            store.remove(session, number)

        self._database.run(work)
        self._announce(number)

    def _announce(self, number: int) -> None:
        """Let every process look again at a device, those too that wait for its data."""
        self._changes.announce()
        self._wakeups.publish([topic(number)])


def _size(device: Device, fields: Iterable[str]) -> int:
    """Count the characters of what may be long."""
    texts = sum(len(getattr(device, name) or "") for name in store.LONG if name in fields)
    return texts + sum(len(tag["key"]) + len(tag["value"]) for tag in device.tags)


def _check(session: Session, device: Device, given: Mapping[str, Any]) -> None:
    """Refuse what of a device cannot be changed. What is given as it is already is no change. Raises Refusal 400."""
    wrong = {name: ["Is changed by /device/<id>/convert."] for name in _FIXED if given.get(name) not in (None, getattr(device, name))}
    tied = [name for name in _TIED if name in given and given[name] != getattr(device, name)]
    if tied and store.has_tokens(session, device.no):
        wrong |= {name: ["Can be changed while the device has no token."] for name in tied}
    if wrong:
        raise refusals.body_invalid(wrong)


def _retain(session: Session, device: Device, retention: int | None, now: dt.datetime) -> None:
    """Keep more or fewer chunks of an immutable device; what is no longer kept is gone."""
    if device.chunk_period is None or retention is None or retention == device.chunk_retention:
        return
    removal.move_class(session, device.no, device.chunk_period, retention, now)
    device.chunk_retention = retention
