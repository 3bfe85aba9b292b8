"""Users, as auth keeps them: asked in the caller's own name, so that auth decides what the caller may do."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import requests

from services.common import logging as logs
from services.common.http_client import READ_TIMEOUT_S, Client
from services.common.refusal import Refusal
from services.sessions import levels, refusals
from services.sessions.access import Caller, may
from services.sessions.users import rules

log = logs.get(__name__)

_PAGE: Final = 200  # users that auth gives at a time
_ALL_S: Final = 15.0  # seconds for all pages
_LONGEST_SEARCH: Final = 200  # characters


class Accounts:
    """The accounts of users. Thread-safe.

    address: the client's, wherever it is taken: auth counts failures for it and writes it into its audit. No kept connections: the calls
    are rare, and one that auth has closed meanwhile would fail a change that must not be sent twice.
    """

    def __init__(self, auth_url: str, *, read_s: float = READ_TIMEOUT_S) -> None:
        """read_s: how long auth may be silent."""
        self._url = auth_url.rstrip("/")
        self._read_s = read_s

    def login_key(self, caller: Caller, address: str) -> str:
        """Return a login key; whoever came with one gets the same again. A new one ends the one before.

        Raises Refusal 400, 401, 429, 503.
        """
        shown = rules.basic(caller.credential)
        if shown is not None and shown[1].startswith(rules.LOGIN_KEY):
            return shown[1]
        return str(self._ask(caller.credential, address, "POST", "/me/login-key")["key"])

    def of_domain(self, caller: Caller, address: str, domain: str | None) -> list[dict[str, Any]]:
        """Return the users of the own domain, for super users of any. Raises Refusal 400 (or 403), 401, 429, 503."""
        asked = domain or caller.user.domain
        if asked != caller.user.domain and not may(caller, levels.SUPER_USER):
            raise refusals.insufficient_rights("another domain needs SUPER_USER")
        return [_data(user) for user in self._users(caller, address, {"domain": asked})]

    def add(
        self, caller: Caller, address: str, domain: str | None, name: str, password: str | None, level: str | None, full_name: str | None
    ) -> bool:
        """Add a user. password: None for one that nobody knows, until somebody sets another. Raises Refusal 400, 401, 409, 429, 503."""
        user = {
            "email": name,
            "password": password or _random_password(),
            "domain": domain or caller.user.domain,
            "level": level or levels.JOIN_ONLY,
            "full_name": full_name or "",
        }
        self._ask(caller.credential, address, "POST", "/users", user)
        return True

    def remove(self, caller: Caller, address: str, name: str) -> bool:
        """Remove a user. Returns whether there was one. Raises Refusal 400 (or 403), 401, 409, 429, 503."""
        try:
            self._ask(caller.credential, address, "DELETE", self._path(caller, address, name))
        except Refusal as refused:
            if refused.status == 404:
                return False
            raise
        return True

    def set_active(self, caller: Caller, address: str, name: str, active: bool) -> bool:
        """Let a user log in or not. Raises Refusal 400 (or 403), 401, 404, 409, 429, 503."""
        self._ask(caller.credential, address, "PATCH", self._path(caller, address, name), {"active": active})
        return True

    def set_password(self, caller: Caller, address: str, name: str, password: str) -> str:
        """Set a password. Returns a new login key, because the one before has ended; for another user an empty text.

        Raises Refusal 400 (or 403), 401, 404, 429, 503.
        """
        if not rules.is_same(name, caller.user.email):
            if not may(caller, levels.DOMAIN_ADMIN):
                raise refusals.insufficient_rights("the password of another user needs DOMAIN_ADMIN")
            self._ask(caller.credential, address, "POST", self._path(caller, address, name) + "/password", {"new_password": password})
            return ""
        shown = rules.basic(caller.credential)
        if shown is None or shown[1].startswith(rules.LOGIN_KEY):
            raise refusals.insufficient_rights("log in with the password itself to change it")
        self._ask(caller.credential, address, "POST", "/me/password", {"current_password": shown[1], "new_password": password})
        try:
            return str(self._ask(rules.as_basic(shown[0], password), address, "POST", "/me/login-key")["key"])
        except Refusal:  # the password is changed all the same
            return ""

    def reset_password(self, caller: Caller, address: str, name: str) -> str:
        """Give a user a password by chance and return it. Raises Refusal 400 (or 403), 401, 404, 429, 503."""
        password = _random_password()
        self._ask(caller.credential, address, "POST", self._path(caller, address, name) + "/password", {"new_password": password})
        return password

    def _path(self, caller: Caller, address: str, name: str) -> str:
        """Return the path of a user by name. Raises Refusal 404."""
        for user in self._users(caller, address, {"q": name.strip()[:_LONGEST_SEARCH]}):
            if rules.is_same(user["email"], name):
                return f"/users/{quote(user['id'], safe='')}"
        raise refusals.no_such("user", name)

    def _users(self, caller: Caller, address: str, wanted: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """Give the users that the caller administers, page by page. wanted: auth's filters."""
        until = time.monotonic() + _ALL_S
        page, more = 1, True
        while more:
            if time.monotonic() > until:
                raise refusals.auth_unavailable()
            found = self._ask(caller.credential, address, "GET", "/users", params={**wanted, "page": str(page), "per_page": str(_PAGE)})
            yield from found["items"]
            more = page * _PAGE < found["total"]
            page += 1

    def _ask(
        self,
        credential: str,
        address: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Any:
        """Ask auth, and return its answer; None for an empty one. Raises what auth refuses as a Refusal of this service."""
        headers = {"Authorization": credential, "Connection": "close", **({"X-Forwarded-For": address} if address else {})}
        try:
            with Client(read=self._read_s, retries=0) as http:
                answer = http.request(method, self._url + path, json=body, params=params, headers=headers)
            if answer.status_code == 204:
                return None
            said = answer.json()
            if answer.status_code in (200, 201):
                return said
            message = str(said["error"])
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            log.error("auth service unavailable", error=type(error).__name__)
            raise refusals.auth_unavailable() from None
        raise _refusal(answer.status_code, message, said.get("fields"), answer.headers.get("Retry-After", "1"))


def _refusal(status: int, message: str, fields: Any, retry_after: str) -> Refusal:
    """Return auth's refusal as one of this service."""
    if status == 401:
        return refusals.credentials_invalid(message)
    if status == 403:
        return refusals.insufficient_rights(message)
    if status == 404:
        return Refusal(404, f"{message[:1].upper()}{message[1:]}.", "no-such-user")
    if status in (409, 412):
        return refusals.conflict(f"{message[:1].upper()}{message[1:]}.")
    if status == 429:
        return refusals.too_many_failures(message, {"Retry-After": retry_after})
    if status in (400, 413, 422):
        told = [f"{name}: {' '.join(map(str, why)) if isinstance(why, list) else why}" for name, why in (fields or {}).items()]
        return refusals.invalid_request(" ".join(told) or f"{message}.")
    log.error("auth service refused the question", status=status)
    return refusals.auth_unavailable()


def _data(user: Mapping[str, Any]) -> dict[str, Any]:
    return rules.data(
        user["email"], user["full_name"], user["domain"], user["level"], active=user["active"], last_login=user["last_login_at"]
    )


def _random_password() -> str:
    return secrets.token_urlsafe(18)
