"""Who asks, and what they may do.

A device shows a device token, which this service issued; people and programs show a token of the house, which auth verifies. Each type has
a header of its own; `Authorization`, `Authentication` and `Token` take any (TagoIO; spec of this service in `docs/devices.md`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.common.clock import Clock
from services.common.database import Database
from services.common.identity.client import IdentityClient
from services.common.identity.identity import Identity
from services.common.identity.refusals import AuthUnavailable, InsufficientScope, Unauthenticated
from services.devices import refusals
from services.devices.models import Device, DeviceToken

Kind = Literal["account", "device", "analysis", "middleware"]
Action = Literal["read", "write"]

TYPED: Final[Mapping[str, Kind]] = {
    "account-token": "account",
    "profile-token": "account",
    "device-token": "device",
    "analysis-token": "analysis",
    "middleware-token": "middleware",
    "network-token": "middleware",
}
GENERIC: Final = ("token", "authorization", "authentication", "authorized")
REMEMBERED_S: Final = 1.0  # a token that another process revoked is refused after so long
_REMEMBERED: Final = 20_000  # tokens
_A_DEVICE_TOKEN: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
_KIND_OF_IDENTITY: Final[Mapping[str, Kind]] = {
    "account": "account", "user": "account", "client": "account", "analysis": "analysis", "middleware": "middleware",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeviceRef:
    """What data traffic must know of a device, as it was when it was looked up."""

    no: int
    id: str
    account: str
    type: str
    active: bool
    chunk_period: str | None
    chunk_retention: int | None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. kind: of the token. account: whose devices it may see. device: of a device token. identity: what auth said otherwise.

    token_id: stable and no secret; what rate limits count by.
    """

    kind: Kind
    account: str
    permission: str
    token_id: str
    device: DeviceRef | None = None
    identity: Identity | None = None


def may(caller: Caller, action: Action) -> bool:
    """Say whether the token's permission covers it: GET needs `read` or `full`, all else `write` or `full`."""
    return caller.permission in ("full", action)


def require(caller: Caller, action: Action, *kinds: Kind) -> None:
    """Let only tokens of these kinds with this permission pass. Raises Refusal 403."""
    if caller.kind not in kinds or not may(caller, action):
        raise refusals.not_allowed()


def digest(token: str) -> str:
    """Return how a device token is stored: SHA-256 is enough for 122 random bits."""
    return hashlib.sha256(token.lower().encode()).hexdigest()


def read_device(device: Device) -> DeviceRef:
    return DeviceRef(device.no, device.id, device.account, device.type, device.active, device.chunk_period, device.chunk_retention)


class Tokens:
    """Finds who a token belongs to. Thread-safe.

    A device token is remembered for a second, its end is checked at every request; `forget` drops one at once.
    """

    def __init__(self, database: Database, identities: IdentityClient, clock: Clock) -> None:
        self._database = database
        self._identities = identities
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, Caller, dt.datetime | None]] = {}
        self._generation = 0

    def caller(self, presented: Mapping[str, str]) -> Caller:
        """Say who sent these tokens. presented: by header, in lower case. Raises Refusal 401, 503."""
        values = {value for value in presented.values() if value}
        if len(values) != 1:
            raise refusals.denied()
        token = values.pop()
        found = self._of_device(token) if _A_DEVICE_TOKEN(token) else self._of_house(token)
        for header in presented:
            if header in TYPED and TYPED[header] != found.kind:
                raise refusals.denied()
        return found

    def forget(self) -> None:
        """Look every token up again: one was revoked, or a device changed."""
        with self._lock:
            self._generation += 1
            self._known.clear()

    def _of_device(self, token: str) -> Caller:
        key = digest(token)
        known = self._known.get(key)
        if known is None or known[0] <= self._clock.monotonic():
            known = self._look_up(key)
        if known is None or (known[2] is not None and self._clock.now() >= known[2]):
            raise refusals.denied()
        return known[1]

    def _look_up(self, key: str) -> tuple[float, Caller, dt.datetime | None] | None:
        generation = self._generation
        until = self._clock.monotonic() + REMEMBERED_S  # counted from before the store looked
        with self._database.read() as session:
            found = _find(session, key)
        if found is None:
            return None
        known = (until, *found)
        with self._lock:
            if generation == self._generation:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[key] = known
        return known

    def _of_house(self, token: str) -> Caller:
        try:
            identity = self._identities.token(token)
        except (Unauthenticated, InsufficientScope):
            raise refusals.denied() from None
        except AuthUnavailable:
            raise refusals.auth_unavailable() from None
        kind = _KIND_OF_IDENTITY.get(identity.kind)
        if kind is None:
            raise refusals.denied()
        account = identity.user.id if identity.user else identity.subject
        return Caller(kind, account, identity.permission, identity.id, identity=identity)


def _find(session: Session, key: str) -> tuple[Caller, dt.datetime | None] | None:
    row = session.execute(
        sa.select(DeviceToken, Device).join(Device, Device.no == DeviceToken.device_no).where(DeviceToken.digest == key)
    ).first()
    if row is None:
        return None
    token, device = row.tuple()
    return Caller("device", device.account, token.permission, token.id, device=read_device(device)), token.expires_at
