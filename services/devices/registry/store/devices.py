"""Devices in the database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session, defer

from services.devices.models import Device, DeviceState, DeviceTag, DeviceToken
from services.devices.registry.rules.listing import Filters, Listing, Tag

LONG: Final = ("description", "payload_decoder")  # texts of up to 100,000 characters
_AT_ONCE: Final = 500  # devices
_HIGHEST: Final = "\U0010ffff"


class Whole(NamedTuple):
    """All about a device."""

    device: Device
    last_input: dt.datetime | None


_WHOLE = sa.select(Device, DeviceState.last_input).join(DeviceState, DeviceState.device_no == Device.no)
_ORDERS: Final[dict[str, Any]] = {
    "name": Device.name_key,
    "active": Device.active,
    "visible": Device.visible,
    "type": Device.type,
    "created_at": Device.created_at,
    "updated_at": Device.updated_at,
    "last_input": DeviceState.last_input,
}


def add(session: Session, device: Device) -> None:
    """Add a device with its tags and with the state before its first batch; it gets its number."""
    session.add(device)
    session.flush()
    session.add(DeviceState(device_no=device.no, next_seq=1, records=0, last_input=None))
    _add_tags(session, device)
    session.flush()


def has(session: Session, account: str, count: int) -> bool:
    """Say whether an account has so many devices."""
    some = sa.select(sa.literal(1)).where(Device.account == account).limit(count).subquery()
    return session.execute(sa.select(sa.func.count()).select_from(some)).scalar_one() >= count


def get(session: Session, device_id: str) -> Device | None:
    """Read a device."""
    return session.scalar(sa.select(Device).where(Device.id == device_id))


def lock(session: Session, device_no: int) -> Device | None:
    """Read a device that nobody else changes until the commit, nor sends data to."""
    state = sa.select(DeviceState.device_no).where(DeviceState.device_no == device_no).with_for_update()
    if session.execute(state).scalar() is None:
        return None
    return session.scalar(sa.select(Device).where(Device.no == device_no).with_for_update().execution_options(populate_existing=True))


def whole(session: Session, device_no: int) -> Whole | None:
    """Read all about a device."""
    row = session.execute(_WHOLE.where(Device.no == device_no)).one_or_none()
    return None if row is None else Whole(*row)


def page(session: Session, account: str, asked: Listing, only: frozenset[str] | None, check: Callable[[Device], None]) -> list[Whole]:
    """Read one page of an account's devices. only: ids of those that may be seen; None: all. check: sees each before the next is read.

    Of the texts that may be long only those are there that are asked for.
    """
    statement = _WHOLE.where(Device.account == account, *_conditions(asked.filters))
    if only is not None:
        statement = statement.where(Device.id.in_(only))
    order: list[Any] = [_ORDERS[asked.order], Device.no]
    if asked.descending:
        order = [column.desc() for column in order]
    if asked.order == "last_input":
        order[0] = order[0].nulls_last()
    statement = statement.order_by(*order).offset((asked.page - 1) * asked.amount).limit(asked.amount)
    statement = statement.options(*(defer(getattr(Device, name), raiseload=True) for name in LONG if name not in asked.fields))
    found = []
    with session.execute(statement.execution_options(yield_per=_AT_ONCE)) as rows:
        for row in rows:
            found.append(Whole(*row))
            check(found[-1].device)
    return found


def retag(session: Session, device: Device) -> None:
    """Make the tags that devices are found by those of the device."""
    session.execute(sa.delete(DeviceTag).where(DeviceTag.device_no == device.no))
    _add_tags(session, device)


def remove(session: Session, device_no: int) -> None:
    """Remove a device; what refers to it goes with it."""
    session.execute(sa.delete(Device).where(Device.no == device_no))


def has_tokens(session: Session, device_no: int) -> bool:
    """Say whether the device has any token."""
    return session.execute(sa.select(DeviceToken.id).where(DeviceToken.device_no == device_no).limit(1)).scalar() is not None


def _add_tags(session: Session, device: Device) -> None:
    pairs = {(tag["key"], tag["value"]) for tag in device.tags}
    if pairs:
        session.execute(sa.insert(DeviceTag), [{"device_no": device.no, "key": key, "value": value} for key, value in sorted(pairs)])


def _conditions(filters: Filters) -> list[Any]:
    found: list[Any] = []
    if filters.ids is not None:
        found.append(Device.id.in_(filters.ids))
    if filters.name is not None:
        found.append(_named(filters.name.casefold()))
    for column, value in (
        (Device.type, filters.type), (Device.network, filters.network), (Device.connector, filters.connector),
        (Device.active, filters.active), (Device.visible, filters.visible),
    ):  # fmt: skip
        if value is not None:
            found.append(column == value)
    if filters.serial is not None:
        found.append(sa.exists().where(DeviceToken.device_no == Device.no, DeviceToken.serial == filters.serial))
    found.extend(map(_tagged, filters.tags))
    for name, span in filters.moments.items():
        if span.begins is not None:
            found.append(_ORDERS[name] >= span.begins)
        if span.ends is not None:
            found.append(_ORDERS[name] <= span.ends)
    return found


def _named(pattern: str) -> Any:
    """A condition on the name. Only `*` means anything; what stands before the first one is found in the index."""
    if "*" not in pattern:
        return Device.name_key == pattern
    before, _, after = pattern.partition("*")
    conditions = [Device.name_key >= before, Device.name_key < before + _HIGHEST] if before else []
    if after:
        like = "%".join(_escaped(part) for part in pattern.split("*"))
        conditions.append(Device.name_key.like(like, escape="\\"))
    return sa.and_(sa.true(), *conditions)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _tagged(tag: Tag) -> Any:
    conditions = [DeviceTag.device_no == Device.no]
    if tag.key is not None:
        conditions.append(DeviceTag.key == tag.key)
    if tag.value is not None:
        conditions.append(DeviceTag.value == tag.value)
    return sa.exists().where(*conditions)
