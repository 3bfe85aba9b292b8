"""Actions in the database, what devices did to them, and the calls that wait in the outbox."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.common.upsert import insert
from services.common.webhooks import store as webhooks
from services.common.webhooks.outbox import Call
from services.devices.models import Action, ActionChanges, ActionState, Device, outbox

Transaction = Session | sa.Connection
_D = outbox.deliveries.c


class Seen(NamedTuple):
    """An action as its owner sees it. locked: for some device; before any device has fired or freed it, as it was set."""

    action: Action
    locked: bool
    fired_at: dt.datetime | None


class Trigger(NamedTuple):
    """What a request is tried against."""

    id: str
    version: int
    trigger: list[Any]


class Held(NamedTuple):
    """An action that nobody changes until the transaction ends, and the device whose records are tried.

    locked: the action for the device. It may be older than the rest when the version is not the one that was known.
    """

    id: str
    version: int
    active: bool
    name: str
    tags: list[Any]
    trigger: list[Any]
    call: dict[str, Any]
    locked: bool
    device_name: str
    device_tags: list[Any]


# Built once: these run for each request that a condition matches, in the one thread that writes what devices send.
_ACTION, _STATE, _DEVICE = (cast(sa.Table, mapped.__table__) for mapped in (Action, ActionState, Device))
_HOLD: Final = (
    sa.select(
        *(_ACTION.c[name] for name in ("id", "version", "active", "name", "tags", "trigger", "call")),
        sa.func.coalesce(_STATE.c.locked, _ACTION.c.locked),
        _DEVICE.c.name,
        _DEVICE.c.tags,
    )
    .select_from(_ACTION)
    .join(_DEVICE, _DEVICE.c.no == sa.bindparam("device"))
    .outerjoin(_STATE, (_STATE.c.action_id == _ACTION.c.id) & (_STATE.c.device_no == _DEVICE.c.no))
    .where(_ACTION.c.id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(_ACTION.c.id)
    .with_for_update(read=True, key_share=True, of=_ACTION)
)
_WAITING: Final = sa.select(sa.func.count()).select_from(
    sa.select(sa.literal(1)).where(_D.hook_id == sa.bindparam("action"), _D.state == "pending").limit(sa.bindparam("most")).subquery()
)


@functools.cache
def _note(dialect: str) -> Any:
    statement = insert(dialect, _STATE)
    new = statement.excluded
    fired_at = sa.func.coalesce(new.fired_at, _STATE.c.fired_at)
    return statement.on_conflict_do_update(index_elements=["device_no", "action_id"], set_={"locked": new.locked, "fired_at": fired_at})


def connection(session: Transaction) -> sa.Connection:
    """Return the connection of a transaction: without the ORM a statement takes half of the time."""
    return session if isinstance(session, sa.Connection) else session.connection()


def changes(session: Transaction) -> int:
    """Read how often actions were changed."""
    return connection(session).execute(sa.select(ActionChanges.seq)).scalar_one()


def begin_change(session: Session) -> None:
    """Count a change, and let nobody else change actions until the transaction ends."""
    session.execute(sa.update(ActionChanges).values(seq=ActionChanges.seq + 1))


def count(session: Session, account: str) -> int:
    """Count the actions of an account."""
    return session.scalar(sa.select(sa.func.count()).select_from(Action).where(Action.account == account)) or 0


def add(session: Session, action: Action) -> None:
    """Add an action."""
    session.add(action)
    session.flush()


def exists(session: Session, account: str, action_id: str) -> bool:
    """Say whether an account has an action."""
    return session.scalar(sa.select(sa.literal(1)).where(Action.id == action_id, Action.account == account)) is not None


def get_to_change(session: Session, account: str, action_id: str) -> Action | None:
    """Read an action of an account that this transaction changes: batches that concern it wait, and those that have begun end first."""
    return session.scalar(sa.select(Action).where(Action.id == action_id, Action.account == account).with_for_update())


def remove(session: Session, action_id: str) -> None:
    """Remove an action with its states and its calls, also those that are not made yet."""
    session.execute(sa.delete(Action).where(Action.id == action_id))
    session.execute(sa.delete(outbox.deliveries).where(_D.hook_id == action_id))


def sealed(session: Session, action_id: str) -> str | None:
    """Read the encrypted secret of an action."""
    return session.scalar(sa.select(Action.sealed).where(Action.id == action_id))


def devices_of(session: Session, account: str, ids: Sequence[str]) -> set[str]:
    """Return those of these devices that the account has."""
    return set(session.scalars(sa.select(Device.id).where(Device.account == account, Device.id.in_(ids)))) if ids else set()


def all_seen(session: Session, account: str, action_id: str | None = None) -> list[Seen]:
    """Read the actions of an account, or one of them."""
    of_action = ActionState.action_id == Action.id
    one_of = [sa.select(sa.literal(1)).where(of_action, ActionState.locked == locked).exists() for locked in (True, False)]
    newest = [
        sa.select(sa.func.max(ActionState.fired_at)).where(of_action, ActionState.locked == locked).scalar_subquery()
        for locked in (True, False)  # each of the two is one look into the index
    ]
    query = sa.select(Action, *one_of, *newest).where(Action.account == account)
    if action_id is not None:
        query = query.where(Action.id == action_id)
    found = []
    for action, some_locked, some_free, *moments in session.execute(query):
        fired = [moment for moment in moments if moment is not None]
        found.append(Seen(action, some_locked or (action.locked and not some_free), max(fired, default=None)))
    return found


def lock_all(session: Session, action_id: str, locked: bool) -> None:
    """Lock or free an action for all devices that it has a state of."""
    session.execute(sa.update(ActionState).where(ActionState.action_id == action_id).values(locked=locked))


def active_triggers(session: Transaction, account: str) -> list[Trigger]:
    """Read what the active actions of an account watch."""
    rows = connection(session).execute(sa.select(Action.id, Action.version, Action.trigger).where(Action.account == account, Action.active))
    return [Trigger(*row) for row in rows]


def hold(session: Transaction, device_no: int, ids: Iterable[str]) -> list[Held]:
    """Read actions and a device. Nobody changes or removes them until the transaction ends; batches of other devices hold them as well."""
    rows = connection(session).execute(_HOLD, {"device": device_no, "ids": sorted(ids)})
    return [Held._make(row) for row in rows]


def note(session: Transaction, states: Sequence[Mapping[str, Any]]) -> None:
    """Write what a request did to actions: device_no, action_id, locked, fired_at (None = as it was)."""
    within = connection(session)
    within.execute(_note(within.dialect.name), list(states))


def put(session: Transaction, calls: Sequence[Call], now: dt.datetime) -> int:
    """Put calls into the outbox, and return how many."""
    return webhooks.put(connection(session), outbox, calls, now.timestamp())


def waits(session: Transaction, action_id: str, most: int) -> bool:
    """Say whether so many calls of an action are still to be made."""
    count: int = connection(session).execute(_WAITING, {"action": action_id, "most": most}).scalar_one()
    return count >= most
