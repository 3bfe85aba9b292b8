"""What a running Tyk has, asked by its gateway API (`/tyk/`): definitions, policies and keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from services.common import http_client
from services.common.command_line import fail
from services.gateway.cli.client import REFUSED, UNREACHABLE, WRONG_USAGE, path_of
from services.gateway.cli.importing import definitions, keys
from services.gateway.cli.importing.items import Found, Unread
from services.gateway.definitions.lint import stays_here
from services.gateway.definitions.reader import Mistakes, read_json
from services.gateway.refusals import counted

_TIMEOUT: Final = 30.0


def is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def read_running(url: str, secret: str) -> Found:
    """Read everything. secret: Tyk's own (`secret` in tyk.conf). Raises Failure."""
    tyk = _Tyk(url, secret)
    tyk.refuse_gatehouse()
    found = Found()
    apis = tyk.get("/tyk/apis/")
    if not isinstance(apis, list):
        fail(f"{url} did not answer with a list of APIs; is it the address of a Tyk gateway?", UNREACHABLE)
    found.apis.extend(definitions.definition(one, "/tyk/apis", "") for one in apis if isinstance(one, Mapping))
    policies = tyk.get("/tyk/policies", missing=True)
    if isinstance(policies, list):
        found.policies.extend(definitions.policy(one, "/tyk/policies") for one in policies if isinstance(one, Mapping))
    else:
        found.unread.append(Unread("/tyk/policies", "this Tyk does not list its policies: import the file that it reads them from"))
    _keys(tyk, found)
    return found


def _keys(tyk: _Tyk, found: Found) -> None:
    listed = tyk.get("/tyk/keys", missing=True)
    names = listed.get("keys") if isinstance(listed, Mapping) else None
    if not isinstance(names, list):
        why = "this Tyk does not list its keys (hash_keys without enable_hashed_keys_listing): import a dump of its Redis"
        found.unread.append(Unread("/tyk/keys", why))
        return
    gone = 0
    for name in (name for name in names if isinstance(name, str)):
        path = path_of("tyk", "keys", name)
        session = tyk.get(path, missing=True)
        is_secret = keys.is_session(session)  # a Tyk that hashes its keys finds none by the hash itself
        if not is_secret:
            session = tyk.get(f"{path}?hashed=true", missing=True)
        if keys.is_session(session):
            found.keys.append(keys.key(name, session, "/tyk/keys", plain_names=is_secret))
        else:
            gone += 1  # it ended since the list was written
    if gone:
        found.unread.append(Unread("/tyk/keys", f"{counted(gone, 'key')} not found: they have ended, or are not keys"))


class _Tyk:
    """The gateway API of a Tyk."""

    def __init__(self, url: str, secret: str) -> None:
        self._url = url.rstrip("/").removesuffix("/tyk")
        self._secret = secret
        # one retry less than elsewhere: a gateway that is away is told at once; no proxy and no credential of the environment
        self._connection = http_client.Client(read=_TIMEOUT, retries=1)

    def refuse_gatehouse(self) -> None:
        """End the program when this is a Gatehouse: it lists public ids, which would become secrets here. Raises Failure."""
        answer = self._ask("/api/gatehouse/workers", "")
        if answer.status_code == 401 and b'"operator-key-wrong"' in answer.content:
            fail(f"{self._url} is a Gatehouse, not a Tyk; its definitions and policies are taken along with `export tyk`", WRONG_USAGE)

    def get(self, path: str, *, missing: bool = False) -> Any:
        """Ask for a document. missing: a refusal is no error, but None. Raises Failure."""
        answer = self._ask(path, self._secret)
        if answer.status_code in (401, 403):
            fail(f"{self._url} refuses the secret ({answer.status_code}): it is `secret` in tyk.conf, or TYK_GW_SECRET there", REFUSED)
        if not answer.ok:
            if missing:
                return None
            fail(f"{self._url} answered {answer.status_code} to {path}; is it the address of a Tyk gateway?", UNREACHABLE)
        try:
            return read_json(b'{"value":' + answer.content + b"}")["value"]
        except Mistakes as error:
            if missing:
                return None
            fail(f"{self._url} answered to {path} what cannot be used: {error}", UNREACHABLE)

    def _ask(self, path: str, secret: str) -> requests.Response:
        """Raises Failure."""
        try:
            return self._connection.request("GET", self._url + path, headers={"x-tyk-authorization": secret.encode()})
        except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL, requests.exceptions.MissingSchema):
            fail(f"`{self._url}` is not the address of a Tyk; write one like http://127.0.0.1:8080", WRONG_USAGE)
        except requests.exceptions.InvalidHeader:
            fail("the secret of the Tyk holds a character that a header cannot carry, such as an end of line", WRONG_USAGE)
        except requests.RequestException as error:
            fail(f"no Tyk can be reached at {self._url} ({type(error).__name__})", UNREACHABLE)


def unencrypted(url: str) -> str:
    """Return the host to which the secret and the keys go unencrypted; "" when they stay here or are encrypted. Raises Failure."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        fail("the address of the Tyk is malformed; write one like http://127.0.0.1:8080", WRONG_USAGE)
    if "@" in parts.netloc:  # it would be in the history of each definition
        fail(
            "the address of the Tyk holds a user name or a password: leave them out; its secret comes from a file or from TYK_SECRET",
            WRONG_USAGE,
        )
    return host if parts.scheme == "http" and not stays_here(host) else ""
