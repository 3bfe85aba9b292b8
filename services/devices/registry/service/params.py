"""The configuration parameters of devices."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy.orm import Session

from services.common.clock import Clock
from services.common.database import Database
from services.devices import refusals
from services.devices.access import Caller, DeviceRef
from services.devices.models import Param
from services.devices.registry.rules import ids
from services.devices.registry.service.finding import Finder
from services.devices.registry.store import devices
from services.devices.registry.store import params as store

MOST: Final = 250  # of one device


class Params:
    """The parameters of all devices. Thread-safe."""

    def __init__(self, database: Database, finder: Finder, clock: Clock) -> None:
        self._database = database
        self._finder = finder
        self._clock = clock

    def of(self, device: DeviceRef, sent: bool | None) -> list[Param]:
        """Read the parameters of a device. sent: only those that it has read, or has not."""
        with self._database.read() as session:
            return store.all_of(session, device.no, sent)

    def one(self, device: DeviceRef, param_id: str) -> Param:
        """Read a parameter. Raises Refusal 404."""
        with self._database.read() as session:
            found = store.get(session, device.no, param_id)
        if found is None:
            raise refusals.invalid_param_id()
        return found

    def write(self, caller: Caller, device_id: str, given: Sequence[Mapping[str, Any]]) -> None:
        """Create or change parameters of a device, all or none, as `write`. Raises Refusal 400, 404, 409."""
        number = self._finder.device(caller, device_id).no
        now = self._clock.now()

        def work(session: Session) -> None:
            if devices.lock(session, number) is None:
                raise refusals.invalid_device_id()
            write(session, number, given, now)

        self._database.run(work)

    def remove(self, caller: Caller, device_id: str, param_id: str) -> None:
        """Remove a parameter. Raises Refusal 404."""
        number = self._finder.device(caller, device_id).no
        if not self._database.run(lambda session: store.remove(session, number, param_id)):
            raise refusals.invalid_param_id()

    def mark(self, device: DeviceRef, param_id: str, *, sent: bool, version: int | None) -> None:
        """Note whether the device has read a parameter. version: the one that it has read.

        Raises Refusal 404, and 409 when the parameter has changed since.
        """
        now = self._clock.now()

        def work(session: Session) -> None:
            if store.mark(session, device.no, param_id, version, sent, now):
                return
            raise refusals.invalid_param_id() if store.get(session, device.no, param_id) is None else refusals.param_changed()

        self._database.run(work)


def write(session: Session, device_no: int, given: Iterable[Mapping[str, Any]], now: dt.datetime) -> None:
    """Create or change parameters of a device that is locked: the one of the id that is given, else the one of the key, else a new one.

    A changed value is one that the device has not read, unless `sent` says otherwise. Raises Refusal 400 for too many, 404 for an unknown
    id, 409 when `version` is given and not the parameter's.
    """
    given = list(given)
    if not given:
        return
    if len(given) > MOST:  # some of them twice, and each is a statement
        raise refusals.too_many("parameters", MOST)
    held = store.all_of(session, device_no)
    by_id, by_key = {param.id: param for param in held}, {param.key: param for param in held}
    for item in given:
        param = by_id.get(item["id"]) if item.get("id") else by_key.get(item["key"])
        if param is None:
            if item.get("id"):
                raise refusals.invalid_param_id()
            if item.get("version"):
                raise refusals.param_changed()
            if len(by_key) >= MOST:
                raise refusals.too_many("parameters", MOST)
            param = _new(device_no, item, now)
            store.add(session, param)
        else:
            other = by_key.get(item["key"])
            if other is not None and other is not param:
                raise refusals.body_invalid({"key": ["Is another parameter's."]})
            by_key.pop(param.key)
            _change(param, item, now)
        by_key[param.key] = by_id[param.id] = param
        session.flush()  # now: the next one may take the key that this one had


def _new(device_no: int, item: Mapping[str, Any], now: dt.datetime) -> Param:
    return Param(
        id=ids.new_id(),
        device_no=device_no,
        key=item["key"],
        value=item["value"],
        sent=item.get("sent", False),
        version=1,
        created_at=now,
        updated_at=now,
    )


def _change(param: Param, item: Mapping[str, Any], now: dt.datetime) -> None:
    if item.get("version") not in (None, param.version):
        raise refusals.param_changed()
    changed = (param.key, param.value) != (item["key"], item["value"])
    param.sent = item.get("sent", param.sent and not changed)
    if changed:
        param.key, param.value = item["key"], item["value"]
        param.version += 1
    param.updated_at = now
