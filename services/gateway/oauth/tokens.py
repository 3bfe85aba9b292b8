"""Giving and ending access tokens: what becomes of a code, a refresh token or a client. Blocks, and belongs in threads."""

from __future__ import annotations

import datetime as dt
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal

from services.common import logging as logs
from services.gateway.definitions.model import DEFAULT_ORG
from services.gateway.exchange import CompiledApi
from services.gateway.keys.model import secret_hash
from services.gateway.keys.policies import policy_ids
from services.gateway.middleware.oauth_endpoints import Spec
from services.gateway.oauth import notifications, sessions
from services.gateway.stores.definitions import DefinitionStore
from services.gateway.stores.keys import KeyStore
from services.gateway.stores.oauth import Client, ClientMissing, Code, Ended, NewToken, OAuthStore, RefreshToken, Spent, new_family
from services.gateway.stores.policies import PolicyStore

log = logs.get(__name__)

CODE_LIFETIME: Final = 300  # seconds
# Makes other workers forget keys: generation and hashes → those that have not confirmed.
Publish = Callable[[int, Iterable[str]], list[str]]


class Refused(Exception):
    """No token is given: the code or the refresh token is worth nothing any more, or what it allows has ended."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked at an API: its compiled definition, and what its clients may ask for."""

    api: CompiledApi
    spec: Spec


class Tokens:
    """One for each worker. lifetime, refresh_lifetime: seconds. wake: tells the courier of new calls."""

    def __init__(
        self,
        store: OAuthStore,
        keys: KeyStore,
        definitions: DefinitionStore,
        policies: PolicyStore,
        publish: Publish,
        wake: Callable[[], None],
        *,
        lifetime: int,
        refresh_lifetime: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._keys = keys
        self._definitions = definitions
        self._policies = policies
        self._publish = publish
        self._wake = wake
        self._lifetime = lifetime
        self._refresh_lifetime = refresh_lifetime
        self._now = now

    def client(self, api: CompiledApi, id: str | None) -> Client | None:
        """Return a client of this API; of an API of another owner with the same id, none."""
        found = self._store.client(id) if id else None
        owned = found is not None and found.api_id == api.api_id and found.org_id == (api.org_id or DEFAULT_ORG)
        return found if owned else None

    def rules(self, asked: Asked, client: Client, text: str) -> dict[str, Any]:
        """Read `key_rules`. Raises Mistakes."""
        return sessions.of_key_rules(text, client, asked.api.definition, self._definitions.known, self._policies.owners)

    # Log-ins.

    def add_code(self, client: Client, code: str, session: Mapping[str, Any], redirect_uri: str, challenge: str, method: str) -> None:
        """Store a new code. Raises Refused when the client is gone."""
        ends = self._moment(self._now() + CODE_LIFETIME)
        kept = Code(secret_hash(code), client.id, new_family(), redirect_uri, challenge, method, dict(session), ends)
        try:
            self._store.add_code(kept)
        except ClientMissing:
            raise Refused from None

    def code(self, client: Client, code: str) -> Code | None:
        """Return a code of the client that is still good. One that comes a second time ends what it gave (RFC 6749, 4.1.2)."""
        found = self._store.code(secret_hash(code))
        if found is None or found.client_id != client.id or found.expires_at.timestamp() <= self._now():
            return None
        if found.used:
            self._end_reused(found, "code")
            return None
        return found

    def refresh_token(self, client: Client, token: str) -> RefreshToken | None:
        """Return a refresh token of the client that is still good. One that comes twice ends its whole log-in (RFC 9700, 4.14.2)."""
        found = self._store.refresh_token(secret_hash(token))
        if found is None or found.client_id != client.id or found.expires_at.timestamp() <= self._now():
            return None
        if found.used:
            self._end_reused(found, "refresh token")
            return None
        return found

    def _end_reused(self, found: Code | RefreshToken, what: str) -> None:
        log.warning(f"{what} used twice", client=found.client_id)
        try:
            self._end(self._store.end_family(found.client_id, found.family))
        except ClientMissing:
            return

    # Tokens.

    def exchange(self, asked: Asked, client: Client, code: Code, text: str) -> dict[str, Any]:
        """Exchange a code for tokens. text: the code itself. Raises Refused."""
        with_refresh = "refresh_token" in asked.spec.access_types
        try:
            return self._give(
                asked, client, code.session, code.family, "new", with_refresh=with_refresh, code=text, spends=("code", code.hash)
            )
        except Spent:
            self._end_reused(code, "code")
            raise Refused from None

    def refresh(self, asked: Asked, client: Client, token: RefreshToken, text: str) -> dict[str, Any]:
        """Exchange a refresh token for new tokens; the old ones end. text: the token itself. Raises Refused."""
        try:
            return self._give(
                asked, client, token.session, token.family, "refresh", with_refresh=True, before=text, spends=("refresh", token.hash)
            )
        except Spent:
            self._end_reused(token, "refresh token")
            raise Refused from None

    def at_once(self, asked: Asked, client: Client, session: Mapping[str, Any]) -> dict[str, Any]:
        """Give a token for a log-in without a code, and without a refresh token. Raises Refused."""
        return self._give(asked, client, session, new_family(), "new")

    def for_itself(self, asked: Asked, client: Client) -> dict[str, Any]:
        """Give a client a token that says what its policy says. All of these share their limits. Raises Refused."""
        return self._give(asked, client, sessions.of_policy(client), sha256(f"client {client.id}".encode()).hexdigest()[:32], "new")

    def _give(
        self,
        asked: Asked,
        client: Client,
        session: Mapping[str, Any],
        family: str,
        kind: Literal["new", "refresh"],
        *,
        with_refresh: bool = False,
        code: str = "",
        before: str = "",
        spends: tuple[Literal["code", "refresh"], str] | None = None,
    ) -> dict[str, Any]:
        """Raises Refused, Spent, WrongMasterKey, the store's error."""
        now = int(self._now())
        ends = self._end_of(session, now)
        if ends <= now:
            raise Refused
        token = client.org_id + secrets.token_hex(16)
        refresh = secrets.token_urlsafe(32) if with_refresh else ""
        new = NewToken(
            hash=secret_hash(token),
            family=family,
            session={**session, "expires": ends},
            expires_at=self._moment(ends),
            refresh_hash=secret_hash(refresh) if refresh else "",
            refresh_session=session,
            refresh_expires_at=self._moment(now + self._refresh_lifetime),
            call=notifications.call(asked.spec, asked.api.api_id, kind, token, refresh, code, before),
        )
        try:
            self._end(self._store.give(client.id, new, spends))
            # What ends the tokens of a deleted API may have looked before this one was there.
            if not self._still_owns(client):
                self._end(self._store.end_family(client.id, family))
                raise Refused
        except ClientMissing:
            raise Refused from None
        if new.call is not None:
            self._wake()
        answer = {"access_token": token, "expires_in": ends - now, "token_type": "bearer"}
        return {**answer, "refresh_token": refresh} if refresh else answer

    def _still_owns(self, client: Client) -> bool:
        """Whether the API of a client exists now, and is of its organisation."""
        found = self._definitions.get(client.api_id)
        return found is not None and (found.raw.get("org_id") or DEFAULT_ORG) == client.org_id

    def _end_of(self, session: Mapping[str, Any], now: int) -> int:
        """Return when a token ends: what is first of its usual lifetime, its session's end, and the lifetimes that its policies give."""
        ends = [now + self._lifetime]
        if (session.get("expires") or 0) > 0:
            ends.append(int(session["expires"]))
        for id in policy_ids(session):
            seconds = (self._policies.get(id) or {}).get("key_expires_in") or 0
            if seconds > 0:
                ends.append(now + int(seconds))
        return min(ends)

    # Ends.

    def revoke(self, client: Client, token: str) -> bool:
        """End a token of the client: a refresh token with its whole log-in. False when it is none of this client's; then nothing ends."""
        try:
            refresh = self._store.refresh_token(secret_hash(token))
            if refresh is not None and refresh.client_id == client.id:
                self._end(self._store.end_family(client.id, refresh.family))
                return True
            opened = self._keys.by_hash(secret_hash(token))
            ended = None if opened is None else self._store.end_token(client.id, opened.key.id)
        except ClientMissing:
            return False
        self._end(ended)
        return ended is not None

    def revoke_all(self, client: Client) -> None:
        """End all tokens and codes of a client."""
        try:
            self._end(self._store.end_all(client.id))
        except ClientMissing:
            return

    def _end(self, ended: Ended | None) -> None:
        """Wait until no worker takes these tokens any more."""
        if ended is not None:
            late = self._publish(ended.generation, ended.hashes)
            if late:
                log.warning("ended tokens not confirmed", workers=late)

    @staticmethod
    def _moment(seconds: float) -> dt.datetime:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
