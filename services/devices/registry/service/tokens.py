"""The tokens of devices: create, list, rotate, remove, hand out by serial number."""

from __future__ import annotations

import datetime as dt
import hmac
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.common import logging as logs
from services.common.clock import Clock
from services.common.database import Database
from services.common.sealing import NotOpened
from services.devices import access, refusals
from services.devices.access import Caller
from services.devices.known import Changes
from services.devices.last_used import LastUsed
from services.devices.master_key import CODE, TOKEN, Seals
from services.devices.models import Device, DeviceToken
from services.devices.registry.rules import ids, listing
from services.devices.registry.rules import tokens as rules
from services.devices.registry.service.finding import Finder
from services.devices.registry.store import devices
from services.devices.registry.store import tokens as store

log = logs.get(__name__)

MOST: Final = 1000  # of one device
_GIVES: Final[Mapping[str, tuple[access.Action, ...]]] = {"full": ("read", "write"), "read": ("read",), "write": ("write",), "deny": ()}
COLUMNS: Final = listing.Columns(
    known=frozenset(
        {"id", "token", "last_four", "name", "permission", "serie_number", "last_authorization", "created_at", "expire_time", "device_id"}
    ),
    shown=("id", "token", "last_four", "name", "permission", "serie_number", "last_authorization", "created_at", "expire_time"),
    always=("id",),
    sortable=frozenset({"name", "permission", "created_at", "last_authorization", "expire_time"}),
    order="created_at",
    descending=True,
)


class Made(NamedTuple):
    """A new token, which is shown this once."""

    id: str
    token: str
    permission: str
    expires_at: dt.datetime | None


class DeviceTokens:
    """The tokens of all devices. Thread-safe."""

    def __init__(self, database: Database, finder: Finder, changes: Changes, last_used: LastUsed, seals: Seals, clock: Clock) -> None:
        self._database = database
        self._finder = finder
        self._changes = changes
        self._last_used = last_used
        self._seals = seals
        self._clock = clock

    def add_default(self, session: Session, device: Device, serial: str | None) -> str:
        """Give a new device its first token, and return it. Raises Refusal 409 for a serial number that is taken."""
        token = self._row(device, {"name": rules.DEFAULT_NAME, "serie_number": serial}, "full", None)
        return self._add(session, token)

    def create(self, caller: Caller, given: Mapping[str, Any]) -> Made:
        """Create a token. given: as the schema `NewToken` reads it.

        Raises Refusal 400, 404, 409, and 403 for a token that may do more than the caller.
        """
        found = self._finder.device(caller, given["device"])
        permission = given.get("permission") or "full"
        _require_no_less(caller, found.id, permission)
        try:
            ends = rules.read_end(given.get("expire_time") or rules.USUAL_END, self._clock.now())
        except rules.Unreadable as error:
            raise refusals.body_invalid({"expire_time": [str(error)]}) from None

        def work(session: Session) -> Made:
            device = devices.lock(session, found.no)
            if device is None:
                raise refusals.invalid_device_id()
            if store.count(session, device.no) >= MOST:
                raise refusals.too_many("tokens", MOST)
            token = self._row(device, given, permission, ends)
            if code := given.get("verification_code"):
                token.verification_code = self._seals.get(CODE).seal(code.encode(), token.id)
            return Made(token.id, self._add(session, token), permission, ends)

        return self._database.run(work)

    def page(self, caller: Caller, device_id: str, query: Iterable[tuple[str, str]]) -> tuple[list[DeviceToken], tuple[str, ...]]:
        """Read one page of a device's tokens, and which fields are asked for. Raises Refusal 400, 404."""
        number = self._finder.device(caller, device_id).no
        asked = listing.read(query, COLUMNS, self._clock.now())
        self._last_used.flush()
        with self._database.read() as session:
            return store.page(session, number, asked), asked.fields

    def rotate(self, caller: Caller, key: str) -> Made:
        """Draw a new token in the place of one, which ends at once. key: the token, or its id. Raises Refusal 403, 404."""
        found = self._find(caller, key)
        _require_no_less(caller, found.device.id, found.token.permission)
        token = rules.new_token()
        values: dict[str, Any] = {"digest": rules.digest(token), "last_four": token[-4:], "updated_at": self._clock.now()}
        if found.token.serial is not None:
            values["sealed"] = self._seals.get(TOKEN).seal(token.encode(), found.token.id)
        if not self._database.run(lambda session: store.replace(session, found.token.id, **values)):
            raise refusals.invalid_device_token()
        self._changes.announce()
        return Made(found.token.id, token, found.token.permission, found.token.expires_at)

    def remove(self, caller: Caller, key: str) -> None:
        """Remove a token; it is refused from now on. key: the token, or its id. Raises Refusal 403, 404."""
        found = self._find(caller, key)
        if not self._database.run(lambda session: store.remove(session, found.token.id)):
            raise refusals.invalid_device_token()
        self._changes.announce()

    def resolve(self, caller: Caller, serial: str, verification_code: str | None) -> str:
        """Return the token that has this serial number, of the caller's account.

        A token with a verification code is handed out only with it. Raises Refusal 404, also for one that has ended.
        """
        with self._database.read() as session:
            found = store.by_serial(session, caller.account, serial)
        if found is None or (found.token.expires_at is not None and found.token.expires_at <= self._clock.now()):
            raise refusals.invalid_serial()
        access.require_device(caller, found.device.id)
        token, code = found.token, found.token.verification_code
        try:
            needed = None if code is None else self._seals.get(CODE).open(code, token.id)
            if needed is not None and not hmac.compare_digest(needed, (verification_code or "").encode("utf-8", "replace")):
                raise refusals.invalid_serial()
            return self._seals.get(TOKEN).open(token.sealed or "", token.id).decode()
        except NotOpened:
            log.error("token not opened: another master key sealed it", token=token.id)
            raise refusals.token_lost() from None

    def _find(self, caller: Caller, key: str) -> store.Found:
        """Find a token of the caller's account. Raises Refusal 403, 404."""
        found = None
        with self._database.read() as session:
            if rules.is_token(key):
                found = store.by_digest(session, rules.digest(key))
            elif ids.is_id(key):
                found = store.by_id(session, key)
        if found is None or found.device.account != caller.account:
            raise refusals.invalid_device_token()
        access.require_device(caller, found.device.id)
        return found

    def _row(self, device: Device, given: Mapping[str, Any], permission: str, ends: dt.datetime | None) -> DeviceToken:
        """A token that is not drawn yet."""
        now = self._clock.now()
        return DeviceToken(
            id=ids.new_id(),
            device_no=device.no,
            account=device.account,
            name=given["name"],
            permission=permission,
            expires_at=ends,
            serial=given.get("serie_number") or None,
            created_at=now,
            updated_at=now,
        )

    def _add(self, session: Session, row: DeviceToken) -> str:
        """Draw the token and store it. Raises Refusal 409."""
        token = rules.new_token()
        row.digest, row.last_four = rules.digest(token), token[-4:]
        if row.serial is not None:
            row.sealed = self._seals.get(TOKEN).seal(token.encode(), row.id)
        try:
            store.add(session, row)
        except IntegrityError:
            raise refusals.serial_taken() from None
        return token


def _require_no_less(caller: Caller, device_id: str, permission: str) -> None:
    """Let nobody draw a token that may do more than they. Raises Refusal 403."""
    for action in _GIVES[permission]:
        if not access.may(caller, action):
            raise refusals.not_allowed()
        access.require_device(caller, device_id, action)
