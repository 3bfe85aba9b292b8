"""Actions of an account, and requests whose records are tried against them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.common.database import Database
from services.devices.access import DeviceRef, read_device
from services.devices.data.rules.records import Record
from services.devices.models import Device, DeviceState
from tests.support.webhook_receiver import Receiver, receiving
from tests.unit.devices.conftest import ACC, API, MadeDevice, result

TARGET = "http://receiver.example/hook"


def hot(device: str, **other: Any) -> dict[str, Any]:
    """A condition: warmer than 95."""
    return {"device": device, "variable": "temp", "is": ">", "value": "95", "value_type": "number", **other}


def cool(device: str, **other: Any) -> dict[str, Any]:
    """What frees an action: colder than 90."""
    return hot(device, **{"is": "<", "value": "90", "unlock": True, **other})


def an_action(*conditions: dict[str, Any], **other: Any) -> dict[str, Any]:
    """The body of a new action."""
    call = {"type": "post", "url": TARGET, "headers": {"X-Key": "k"}}
    return {"name": "too hot", "type": "condition", "trigger": list(conditions), "action": call, **other}


def create(api: API, *conditions: dict[str, Any], by: str = ACC, **other: Any) -> str:
    """Create an action and return its id."""
    made: str = result(api.post("/action", an_action(*conditions, **other), by), 201)["action"]
    return made


def record(value: float, variable: str = "temp") -> Record:
    return Record(variable, 1_767_225_600_123, float(value), None, "C", "g1", None, '{"a":1}')


class Writer:
    """What stores records, without storing them: it locks the device and tries the records in its transaction."""

    def __init__(self, api: API) -> None:
        self._parts = api.parts
        self.database: Database = api.parts.database

    def send(self, device: MadeDevice, *values: float) -> int:
        """Try the records of one request; return how many calls were put into the outbox."""
        return self.database.run(lambda session: self.within(session, device, *values))

    def within(self, session: Session, device: MadeDevice, *values: float) -> int:
        """The same in a transaction that goes on."""
        ref = self.lock(session, device)
        return self._parts.firing.note(session, ref, [record(value) for value in values], 7, self._parts.clock.now())

    def lock(self, session: Session, device: MadeDevice) -> DeviceRef:
        found = session.execute(sa.select(Device).where(Device.id == device.id)).scalar_one()
        session.execute(sa.select(DeviceState).where(DeviceState.device_no == found.no).with_for_update())
        return read_device(found)


@pytest.fixture
def writer(api: API) -> Writer:
    return Writer(api)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


Deliveries = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def deliveries(api: API) -> Deliveries:
    """The calls of an action, as its owner sees them."""

    def read(action: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = result(api.get(f"/action/{action}/deliveries"))
        return found

    return read
