"""Actions of an account: created, listed, edited and deleted by its owner; their calls shown and repeated."""

from __future__ import annotations

import base64
import datetime as dt
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy.orm import Session

from services.common.clock import Clock, isoformat
from services.common.database import Database
from services.common.webhooks.outbox import Delivery, Outbox, State
from services.devices import refusals
from services.devices.access import Caller, may
from services.devices.actions import store
from services.devices.actions.rules import conditions, webhooks
from services.devices.actions.service.listing import COLUMNS, listed
from services.devices.actions.service.secrets import Secrets
from services.devices.actions.store import Seen
from services.devices.models import Action
from services.devices.registry.rules import listing
from services.devices.registry.rules.ids import is_id, new_id

MOST_ACTIONS: Final = 100  # of an account
_SECRET_BYTES: Final = 32
_TYPE: Final = "condition"


class Created(NamedTuple):
    """A new action, and the secret that signs its calls, which is shown this once."""

    id: str
    secret: str


class Actions:
    """The actions of all accounts; a caller finds only those of their own. Thread-safe."""

    def __init__(
        self, database: Database, outbox: Outbox, secrets: Secrets, clock: Clock, changed: Callable[[], None], wake: Callable[[], None]
    ) -> None:
        """changed: to be called after a change that matters to firing. wake: makes the courier look for calls at once."""
        self._database = database
        self._outbox = outbox
        self._secrets = secrets
        self._clock = clock
        self._changed = changed
        self._wake = wake

    def create(self, caller: Caller, given: Mapping[str, Any]) -> Created:
        """Create an action. given: as the schema `NewAction` reads it. Raises Refusal 400."""
        changed = _checked(given)
        now = self._clock.now()
        action_id, secret = new_id(), _new_secret()
        sealed = self._secrets.seal(action_id, secret)

        def work(session: Session) -> None:
            store.begin_change(session)
            if store.count(session, caller.account) >= MOST_ACTIONS:
                raise refusals.too_many_actions(MOST_ACTIONS)
            _check_devices(session, caller.account, changed["trigger"], known=())
            fixed = {"id": action_id, "account": caller.account, "version": 1, "sealed": sealed, "created_at": now, "updated_at": now}
            store.add(session, Action(**{**_UNLESS_GIVEN, **changed, **fixed}))

        self._database.run(work)
        self._changed()
        return Created(action_id, secret)

    def page(self, caller: Caller, query: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
        """List one page of the actions, each with the fields that are asked for. Raises Refusal 400."""
        asked = listing.read(query, COLUMNS, self._clock.now())
        with self._database.read() as session:
            return listed([_shown(seen, caller) for seen in store.all_seen(session, caller.account)], asked)

    def get(self, caller: Caller, action_id: str) -> dict[str, Any]:
        """Read an action. Raises Refusal 404."""
        with self._database.read() as session:
            found = store.all_seen(session, caller.account, action_id) if is_id(action_id) else []
        if not found:
            raise refusals.invalid_action_id()
        return _shown(found[0], caller)

    def edit(self, caller: Caller, action_id: str, given: Mapping[str, Any]) -> None:
        """Change what is given of an action. given: as the schema `EditedAction` reads it. Raises Refusal 400, 404.

        The lock, when it is given, holds for all devices. Calls that wait go where the action pointed when it fired.
        """
        changed = _checked(given)
        now = self._clock.now()

        def work(session: Session) -> None:
            store.begin_change(session)
            action = _to_change(session, caller, action_id)
            if "trigger" in changed:
                _check_devices(session, caller.account, changed["trigger"], known=action.trigger)
            if "locked" in changed:
                store.lock_all(session, action_id, changed["locked"])
            if changed.keys() & {"trigger", "locked"}:
                action.version += 1
            for column, value in changed.items():
                setattr(action, column, value)
            action.updated_at = now

        self._database.run(work)
        self._changed()

    def delete(self, caller: Caller, action_id: str) -> None:
        """Delete an action with its calls, also those that are not made yet. Raises Refusal 404."""

        def work(session: Session) -> None:
            store.begin_change(session)
            _to_change(session, caller, action_id)
            store.remove(session, action_id)

        self._database.run(work)
        self._changed()

    def renew_secret(self, caller: Caller, action_id: str) -> str:
        """Give an action a new secret, and return it: it signs all calls from now on, those that wait among them. Raises Refusal 404."""
        secret = _new_secret()
        sealed = self._secrets.seal(action_id, secret)
        now = self._clock.now()

        def work(session: Session) -> None:
            action = _to_change(session, caller, action_id)
            action.sealed, action.updated_at = sealed, now

        self._database.run(work)
        self._secrets.forget(action_id)
        return secret

    def deliveries(self, caller: Caller, action_id: str, state: State | None, page: int, amount: int) -> list[dict[str, Any]]:
        """List calls of an action, the newest first. page: from 1. Raises Refusal 404."""
        self._check_owner(caller, action_id)
        found, _ = self._outbox.page(state, page - 1, amount, action_id)
        return [_shown_delivery(one) for one in found]

    def replay(self, caller: Caller, action_id: str, delivery_id: str) -> None:
        """Make a call again from the beginning, with the same `webhook-id`; one that is being made goes on. Raises Refusal 404."""
        self._check_owner(caller, action_id)
        found = self._outbox.get(delivery_id)
        if found is None or found.hook_id != action_id or not self._outbox.replay(delivery_id, self._clock.now().timestamp()):
            raise refusals.invalid_delivery_id()
        self._wake()

    def _check_owner(self, caller: Caller, action_id: str) -> None:
        with self._database.read() as session:
            if not is_id(action_id) or not store.exists(session, caller.account, action_id):
                raise refusals.invalid_action_id()


_UNLESS_GIVEN: Final[Mapping[str, Any]] = {"description": None, "active": True, "tags": [], "locked": False}
# the columns by the fields of a body; the others that it may have change nothing
_COLUMNS: Final = {
    "name": "name", "description": "description", "active": "active", "tags": "tags", "lock": "locked", "trigger": "trigger",
    "action": "call",
}  # fmt: skip


def _to_change(session: Session, caller: Caller, action_id: str) -> Action:
    action = store.get_to_change(session, caller.account, action_id) if is_id(action_id) else None
    if action is None:
        raise refusals.invalid_action_id()
    return action


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, by column and as it is stored. Raises Refusal 400."""
    wrong = {f"trigger.{place}": texts for place, texts in conditions.check(given.get("trigger", ())).items()}
    if "action" in given:
        wrong.update({f"action.{field}": texts for field, texts in webhooks.check(given["action"]).items()})
    if wrong:
        raise refusals.body_invalid(wrong)
    changed = {column: given[field] for field, column in _COLUMNS.items() if field in given}
    if "trigger" in changed:
        changed["trigger"] = [{**condition, "variable": condition["variable"].lower()} for condition in changed["trigger"]]
    if "call" in changed:
        changed["call"] = {**changed["call"], "headers": changed["call"].get("headers") or {}}
    return changed


def _check_devices(session: Session, account: str, trigger: Sequence[Mapping[str, Any]], known: Sequence[Mapping[str, Any]]) -> None:
    """Refuse conditions on devices that the account does not have. known: conditions whose devices were there and may be gone."""
    named = {condition["device"] for condition in trigger if condition.get("device")}
    new = named - {condition.get("device") for condition in known}
    missing = new - store.devices_of(session, account, [device for device in new if is_id(device)])
    wrong = {
        f"trigger.{index}.device": [refusals.invalid_device_id().message]
        for index, condition in enumerate(trigger)
        if condition.get("device") in missing
    }
    if wrong:
        raise refusals.body_invalid(wrong)


def _new_secret() -> str:
    """A secret as Standard Webhooks write it."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode("ascii")


def _shown(seen: Seen, caller: Caller) -> dict[str, Any]:
    """An action. Its headers may hold a credential of the receiver: who may not set them does not read them."""
    action = seen.action
    headers = action.call["headers"] if may(caller, "write") else dict.fromkeys(action.call["headers"], "***")
    return {
        "id": action.id,
        "name": action.name,
        "description": action.description,
        "active": action.active,
        "type": _TYPE,
        "tags": action.tags,
        "trigger": action.trigger,
        "action": {**action.call, "headers": headers},
        "lock": seen.locked,
        "last_triggered": None if seen.fired_at is None else isoformat(seen.fired_at),
        "created_at": isoformat(action.created_at),
        "updated_at": isoformat(action.updated_at),
    }


def _shown_delivery(delivery: Delivery) -> dict[str, Any]:
    """Without the headers, which may hold a credential of the receiver, and without the query of the URL, for the same reason."""
    return {
        "id": delivery.id,
        "device": delivery.subject,
        "url": delivery.url.partition("?")[0],
        "state": delivery.state,
        "attempts": delivery.attempts,
        "created_at": _moment(delivery.created_at),
        "next_at": _moment(delivery.next_at) if delivery.state == "pending" else None,
        "ended_at": _moment(delivery.ended_at),
        "last_status": delivery.last_status,
        "last_error": delivery.last_error or None,
    }


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else isoformat(dt.datetime.fromtimestamp(seconds, dt.UTC))
