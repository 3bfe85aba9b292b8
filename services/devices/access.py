"""Who asks, and what they may do.

A device shows a device token, which this service issued; people and programs show a token of the house, which auth verifies. Each type has
a header of its own; `Authorization`, `Authentication` and `Token` take any (TagoIO; spec of this service in `docs/devices.md`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from services.common.clock import Clock
from services.common.identity.client import IdentityClient
from services.common.identity.identity import Identity
from services.common.identity.refusals import AuthUnavailable, InsufficientScope, Unauthenticated
from services.common.lookups import Lookups
from services.devices import refusals
from services.devices.known import Changes, Known
from services.devices.last_used import LastUsed
from services.devices.models import Device
from services.devices.registry.rules import policies
from services.devices.registry.rules.tokens import digest, is_token
from services.devices.registry.store import tokens as store

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
_KIND_OF_IDENTITY: Final[Mapping[str, Kind]] = {
    "account": "account", "user": "account", "client": "account", "analysis": "analysis", "middleware": "middleware",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeviceRef:
    """What data traffic must know of a device, as it was when it was looked up. data_no: what its records refer to."""

    no: int
    data_no: int
    id: str
    account: str
    type: str
    active: bool
    chunk_period: str | None
    chunk_retention: int | None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. kind: of the token. account: whose devices it may see. device: of a device token. identity: what auth said otherwise.

    token_id: stable and no secret; what rate limits count by. action: what it came to do, once `require` has let it in.
    """

    kind: Kind
    account: str
    permission: str
    token_id: str
    device: DeviceRef | None = None
    identity: Identity | None = None
    action: Action = "read"


def may(caller: Caller, action: Action) -> bool:
    """Say whether the token's permission covers it: GET needs `read` or `full`, all else `write` or `full`."""
    return caller.permission in ("full", action)


def require(caller: Caller, action: Action, *kinds: Kind) -> Caller:
    """Let only tokens of these kinds with this permission pass. Returns the caller with its action. Raises Refusal 403."""
    if caller.kind not in kinds or not may(caller, action):
        raise refusals.not_allowed()
    return caller if caller.action == action else replace(caller, action=action)


def require_device(caller: Caller, device_id: str | None, need: policies.Need | None = None) -> None:
    """Let a token with a policy pass only where that allows it. Raises Refusal 403.

    device_id: None for a device that is not there yet. need: what it wants to do, when that is more than to read or to write.
    """
    if caller.kind in ("analysis", "middleware") and not policies.allows(_policy(caller), need or caller.action, device_id):
        raise refusals.not_allowed()


def only_devices(caller: Caller) -> frozenset[str] | None:
    """Return the ids of the devices that the caller's policy lets it read; None when that is all of the account."""
    return policies.readable(_policy(caller)) if caller.kind in ("analysis", "middleware") else None


def _policy(caller: Caller) -> policies.Policy:
    return caller.identity.policy if caller.identity else ()


def read_device(device: Device) -> DeviceRef:
    """Return what data traffic must know of a device."""
    return DeviceRef(
        device.no,
        device.data_no or device.no,
        device.id,
        device.account,
        device.type,
        device.active,
        device.chunk_period,
        device.chunk_retention,
    )


class Tokens:
    """Finds who a token belongs to. Thread-safe. A device token is remembered for a second; its end is checked at every request."""

    def __init__(self, lookups: Lookups, identities: IdentityClient, changes: Changes, last_used: LastUsed, clock: Clock) -> None:
        self._lookups = lookups
        self._identities = identities
        self._last_used = last_used
        self._clock = clock
        self._known: Known[tuple[Caller, dt.datetime | None]] = changes.known()

    def caller(self, presented: Mapping[str, str]) -> Caller:
        """Say who sent these tokens. presented: by header, in lower case. Raises Refusal 401, 503."""
        values = {value for value in presented.values() if value}
        if len(values) != 1:
            raise refusals.denied()
        token = values.pop()
        found = self._of_device(token) if is_token(token) else self._of_house(token)
        for header in presented:
            if header in TYPED and TYPED[header] != found.kind:
                raise refusals.denied()
        return found

    def _of_device(self, token: str) -> Caller:
        key = digest(token)
        known = self._known.get(key, lambda: self._look_up(key))
        if known is None or (known[1] is not None and self._clock.now() >= known[1]):
            raise refusals.denied()
        return known[0]

    def remembered(self, token: str) -> Caller | None:
        """Say whose device token this is, without asking the store; None when that would be needed, or the token is no longer good."""
        known = self._known.recall(digest(token), self._look_up_all)
        return None if known is None or (known[1] is not None and self._clock.now() >= known[1]) else known[0]

    def _look_up(self, key: str) -> tuple[Caller, dt.datetime | None] | None:
        return self._look_up_all([key]).get(key)

    def _look_up_all(self, keys: Collection[str]) -> dict[str, tuple[Caller, dt.datetime | None]]:
        found = {}
        for row in self._lookups.all(store.WHOSE, {"digests": list(keys)}):
            key, token_id, permission, ends, no, data_no, device_id, account, *rest = tuple(row)
            now = self._clock.now()
            if ends is None or now < ends:
                self._last_used.note(token_id, now)
            device = DeviceRef(no, data_no or no, device_id, account, *rest)
            found[key] = Caller("device", account, permission, token_id, device=device), ends
        return found

    def _of_house(self, token: str) -> Caller:
        try:
            identity = self._identities.token(token)
        except Unauthenticated:
            raise refusals.denied() from None
        except InsufficientScope:
            raise refusals.not_allowed() from None
        except AuthUnavailable:
            raise refusals.auth_unavailable() from None
        kind = _KIND_OF_IDENTITY.get(identity.kind)
        if kind is None:
            raise refusals.denied()
        account = identity.user.id if identity.user else identity.subject
        return Caller(kind, account, identity.permission, identity.id, identity=identity)
