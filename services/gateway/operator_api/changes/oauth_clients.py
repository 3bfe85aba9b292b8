"""Creating, changing and deleting the OAuth2 clients of an API, and ending their tokens: in force everywhere before the call answers."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

from services.gateway.definitions.model import DEFAULT_ORG
from services.gateway.definitions.reader import Mistakes, Reader, Report
from services.gateway.definitions.values import identifier
from services.gateway.keys.model import secret_hash
from services.gateway.operator_api import refusals
from services.gateway.operator_api.changes import definitions
from services.gateway.operator_api.changes.ports import Gateway
from services.gateway.stores.definition_model import StoredDefinition, new_id
from services.gateway.stores.oauth import Client, ClientMissing, ClientTaken, Ended, Listed

_FIELDS: Final = frozenset({
    "client_id", "secret", "api_id", "redirect_uri", "redirect_uris", "policy_id", "description", "meta_data", "org_id",
})  # fmt: skip
_SHORTEST_SECRET: Final = 16
_LONGEST: Final = 256
_MOST_URIS: Final = 20
_MOST_TOKENS: Final = 1000
_SECRET: Final = re.compile(r"[!-~]*")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
# A browser would run them, or show something else than the client's own page.
_NOT_SCHEMES: Final = frozenset({"javascript", "data", "vbscript", "file", "blob", "about", "view-source"})


@dataclass(frozen=True, slots=True)
class Created:
    """secret: shown only here."""

    client: Client
    secret: str


def listed(gateway: Gateway, key: str, number: int, size: int) -> tuple[list[Client], int]:
    """Return a page of the clients of an API, and the number of all. key: of the API. Raises OperatorRefusal."""
    return gateway.oauth_store.clients(definitions.existing(gateway, key).api_id, number, size)


def existing(gateway: Gateway, key: str, id: str) -> Client:
    """Return a client of an API. Raises OperatorRefusal."""
    definition = definitions.existing(gateway, key)
    found = gateway.oauth_store.client(id)
    if found is None or found.api_id != definition.api_id:
        raise refusals.client_unknown()
    return found


def create(gateway: Gateway, key: str, raw: Mapping[str, Any]) -> Created:
    """Create a client of an API. key: of the API, "" = `api_id` names it. Raises OperatorRefusal."""
    definition = definitions.existing(gateway, key or str(_member(raw, "api_id") or ""))
    if not definition.raw.get("use_oauth2"):
        raise refusals.api_without_oauth()
    client, secret = _read(gateway, raw, definition, None)
    try:
        gateway.oauth_store.create(client)
    except ClientTaken:
        raise refusals.client_id_taken() from None
    return Created(client, secret)


def update(gateway: Gateway, key: str, id: str, raw: Mapping[str, Any]) -> Client:
    """Change what is given of a client; its id and its secret stay, and so do its tokens. Raises OperatorRefusal."""
    before = existing(gateway, key, id)
    if _member(raw, "client_id") not in (None, "", id):
        raise refusals.client_id_mismatch()
    client, _ = _read(gateway, raw, definitions.existing(gateway, key), before)
    try:
        gateway.oauth_store.replace(client)
    except ClientMissing:
        raise refusals.client_unknown() from None
    return client


def delete(gateway: Gateway, key: str, id: str) -> list[str]:
    """Delete a client and end its tokens; return the workers that may not know yet. Raises OperatorRefusal."""
    existing(gateway, key, id)
    try:
        return publish(gateway, gateway.oauth_store.delete(id))
    except ClientMissing:
        raise refusals.client_unknown() from None


def tokens(gateway: Gateway, key: str, id: str) -> list[Listed]:
    """Return the access tokens of a client, at most a thousand. Raises OperatorRefusal."""
    return gateway.oauth_store.tokens(existing(gateway, key, id).id, _MOST_TOKENS)


def end_tokens(gateway: Gateway, key: str, id: str) -> list[str]:
    """End all tokens of a client; return the workers that may not know yet. Raises OperatorRefusal."""
    existing(gateway, key, id)
    try:
        return publish(gateway, gateway.oauth_store.end_all(id))
    except ClientMissing:
        raise refusals.client_unknown() from None


def end_refresh_token(gateway: Gateway, token: str) -> list[str]:
    """End a refresh token with its whole log-in; return the workers that may not know yet. Raises OperatorRefusal."""
    found = gateway.oauth_store.refresh_token(secret_hash(token))
    if found is None or gateway.oauth_store.client(found.client_id) is None:
        raise refusals.refresh_token_unknown()
    try:
        return publish(gateway, gateway.oauth_store.end_family(found.client_id, found.family))
    except ClientMissing:
        raise refusals.refresh_token_unknown() from None


def publish(gateway: Gateway, ended: Ended | None) -> list[str]:
    """Wait until no worker takes ended tokens any more; return the workers that may not know yet."""
    return [] if ended is None else gateway.publish_keys(ended.generation, ended.hashes)


def _read(gateway: Gateway, raw: Mapping[str, Any], definition: StoredDefinition, before: Client | None) -> tuple[Client, str]:
    """Read a client, and its secret where it is new. before: the one that is changed. Raises OperatorRefusal."""
    report = Report()
    reader = Reader(raw, "", report, _FIELDS)
    id, secret = reader.text("client_id"), reader.text("secret")
    if id:
        try:
            identifier(id)
        except ValueError as error:
            reader.mistake("client_id", str(error))
    if before is not None and secret:
        reader.mistake("secret", "the secret of a client stays: create another client, and delete this one")
    elif secret and not (_SHORTEST_SECRET <= len(secret) <= _LONGEST and _SECRET.fullmatch(secret)):
        reader.mistake("secret", f"must have {_SHORTEST_SECRET} to {_LONGEST} characters of printable ASCII, and no space")
    if reader.text("api_id") not in ("", definition.api_id, definition.id):
        reader.mistake("api_id", f"must be `{definition.api_id}`")
    gateway.caller.check(reader.text("org_id") or gateway.caller.org_id)
    uris = _redirect_uris(reader)
    owner = str(definition.raw.get("org_id") or DEFAULT_ORG)
    policy_id, description = reader.text("policy_id"), reader.text("description")
    if policy_id:
        owners = gateway.policies.owners([policy_id])
        if policy_id not in owners:
            reader.mistake("policy_id", f"there is no policy with the id `{policy_id[:100]}`")
        elif owners[policy_id] not in ("", owner):
            reader.mistake("policy_id", f"the policy `{policy_id[:100]}` is of another organisation than the API")
    reader.object("meta_data").disregard()
    report.compare_names()
    if report.mistakes:
        raise refusals.invalid("client", Mistakes(report.mistakes))
    meta = reader.value("meta_data")
    if before is not None:
        return replace(
            before,
            redirect_uris=uris if "redirect_uri" in reader or "redirect_uris" in reader else before.redirect_uris,
            policy_id=policy_id if "policy_id" in reader else before.policy_id,
            description=description if "description" in reader else before.description,
            meta_data=meta if "meta_data" in reader else before.meta_data,
        ), ""
    secret = secret or base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    client = Client(id or new_id(), definition.api_id, owner, secret_hash(secret), uris, policy_id, description, meta)
    return client, secret


def _redirect_uris(reader: Reader) -> tuple[str, ...]:
    named = [(reader.text("redirect_uri"), reader.at("redirect_uri")), *reader.texts("redirect_uris")]
    found = [(uri, place) for uri, place in named if uri]
    for uri, place in found:
        wrong = _wrong_uri(uri)
        if wrong:
            reader.report.add(place, wrong)
    if len(found) > _MOST_URIS:
        reader.mistake("redirect_uris", f"must have at most {_MOST_URIS} entries")
    return tuple(dict.fromkeys(uri for uri, _ in found))


def _wrong_uri(uri: str) -> str:
    """Say what is wrong with a redirect URI, "" = nothing (RFC 6749, 3.1.2)."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "is not a URI"
    if not all("!" <= char <= "~" for char in uri) or len(uri) > 2048:
        return "must have at most 2048 characters of printable ASCII"
    if not _SCHEME.fullmatch(parts.scheme) or parts.scheme.lower() in _NOT_SCHEMES:
        return "must be a whole URI, such as https://app.example/callback"
    if parts.scheme in ("http", "https") and not parts.netloc:
        return "has no host"
    return "must not have a fragment (#)" if "#" in uri else ""


def _member(raw: Mapping[str, Any], name: str) -> Any:
    return next((value for key, value in raw.items() if key.lower() == name), None)
