"""Device tokens in the database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.devices.models import Device, DeviceToken
from services.devices.registry.rules.listing import Filters, Listing, is_named

_ORDERS: Final[dict[str, Any]] = {
    "name": DeviceToken.name,
    "permission": DeviceToken.permission,
    "created_at": DeviceToken.created_at,
    "last_authorization": DeviceToken.last_authorization,
    "expire_time": DeviceToken.expires_at,
}


# for `Lookups`: of tokens, and of their devices in the order of `access.DeviceRef`
WHOSE: Final = (
    sa.select(
        *(DeviceToken.digest, DeviceToken.id, DeviceToken.permission, DeviceToken.expires_at),
        *(Device.no, Device.data_no, Device.id, Device.account, Device.type, Device.active, Device.chunk_period, Device.chunk_retention),
    )
    .join(Device, Device.no == DeviceToken.device_no)
    .where(DeviceToken.digest.in_(sa.bindparam("digests", expanding=True)))
)


class Found(NamedTuple):
    """A token and its device."""

    token: DeviceToken
    device: Device


def add(session: Session, token: DeviceToken) -> None:
    """Add a token. Raises IntegrityError for a serial number that another token of the account has."""
    session.add(token)
    session.flush()


def count(session: Session, device_no: int) -> int:
    """Count the tokens of a device."""
    return session.execute(sa.select(sa.func.count()).select_from(DeviceToken).where(DeviceToken.device_no == device_no)).scalar_one()


def page(session: Session, device_no: int, asked: Listing) -> list[DeviceToken]:
    """Read one page of a device's tokens."""
    column = _ORDERS[asked.order]
    order = column.desc() if asked.descending else column.asc()
    conditions = [DeviceToken.device_no == device_no, *_conditions(session, device_no, asked.filters)]
    statement = sa.select(DeviceToken).where(*conditions).order_by(order.nulls_last(), DeviceToken.id)
    return list(session.scalars(statement.offset((asked.page - 1) * asked.amount).limit(asked.amount)))


def by_digest(session: Session, digest: str) -> Found | None:
    """Find a token by what is stored of it."""
    return _one(session, DeviceToken.digest == digest)


def by_id(session: Session, token_id: str) -> Found | None:
    """Find a token by its id."""
    return _one(session, DeviceToken.id == token_id)


def by_serial(session: Session, account: str, serial: str) -> Found | None:
    """Find the token that has this serial number."""
    return _one(session, sa.and_(DeviceToken.account == account, DeviceToken.serial == serial))


def replace(session: Session, token_id: str, **values: Any) -> bool:
    """Change a token; returns whether it was there."""
    statement = sa.update(DeviceToken).where(DeviceToken.id == token_id).values(**values)
    return session.execute(statement.returning(DeviceToken.id).execution_options(synchronize_session=False)).scalar() is not None


def remove(session: Session, token_id: str) -> bool:
    """Remove a token; returns whether it was there."""
    statement = sa.delete(DeviceToken).where(DeviceToken.id == token_id).returning(DeviceToken.id)
    return session.execute(statement.execution_options(synchronize_session=False)).scalar() is not None


def mark_used(session: Session, used: Mapping[str, dt.datetime]) -> None:
    """Note when tokens were used last; those that are gone are left out."""
    table = DeviceToken.__table__
    assert isinstance(table, sa.Table)
    newer = sa.or_(table.c.last_authorization.is_(None), table.c.last_authorization < sa.bindparam("moment"))
    statement = sa.update(table).where(table.c.id == sa.bindparam("token"), newer).values(last_authorization=sa.bindparam("moment"))
    session.connection().execute(statement, [{"token": token, "moment": used[token]} for token in sorted(used)])


def _conditions(session: Session, device_no: int, filters: Filters) -> list[Any]:
    found: list[Any] = []
    if filters.ids is not None:
        found.append(DeviceToken.id.in_(filters.ids))
    if filters.permission is not None:
        found.append(DeviceToken.permission == filters.permission)
    if filters.serial is not None:
        found.append(DeviceToken.serial == filters.serial)
    if span := filters.moments.get("created_at"):
        found += [DeviceToken.created_at >= span.begins] if span.begins else []
        found += [DeviceToken.created_at <= span.ends] if span.ends else []
    if filters.name is not None:  # compared here: the stores do not agree on what case is, and a device has few tokens
        rows = session.execute(sa.select(DeviceToken.id, DeviceToken.name).where(DeviceToken.device_no == device_no))
        found.append(DeviceToken.id.in_([token for token, name in rows if is_named(name, filters.name)]))
    return found


def _one(session: Session, condition: Any) -> Found | None:
    row = session.execute(sa.select(DeviceToken, Device).join(Device, Device.no == DeviceToken.device_no).where(condition)).one_or_none()
    return None if row is None else Found(*row)
