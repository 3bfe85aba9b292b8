"""What happens to each item at this gateway: asked first, then done. Running it again ends in the same state.

Each item is stored by one call of the operator API, so an import that was stopped is finished by the next one. What is refused stops
nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from services.common.command_line import Failure
from services.gateway.cli.client import REFUSED, Client, path_of, place_lines
from services.gateway.cli.importing.items import Item
from services.gateway.definitions.model import DEFAULT_ORG
from services.gateway.definitions.reader import Mistakes
from services.gateway.definitions.session_schema import read_policy, read_session

Happens = Literal["creates", "updates", "is the same", "refused"]
# What the gateway adds, or never shows.
_HIDDEN: Final = frozenset({"hmac_string", "basic_auth_data"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happens to an item. item: with all that is said about it. diff: of a definition in a dry run, what would change."""

    item: Item
    happens: Happens
    diff: str = ""


class Storing:
    """Stores items in the order of their kinds, or only says what would happen. note: for the history of definitions."""

    def __init__(self, client: Client, note: str, *, dry: bool) -> None:
        self._client = client
        self._note = note
        self._dry = dry
        self._apis = {one["api_id"]: one for one in client.call("GET", "/tyk/apis")}
        self._names = {api_id: str(one.get("name") or "") for api_id, one in self._apis.items()}
        self._policies = {one["id"]: one for one in client.call("GET", "/tyk/policies")}
        self._owners = {id: str(one.get("org_id") or "") for id, one in self._policies.items()}
        self._seen: dict[tuple[str, str], str] = {}
        self._places: dict[str, str] = {}

    def all(self, items: Iterable[Item]) -> Iterable[Outcome]:
        """Yield what happens to each item. Raises Failure when the gateway does not answer."""
        for item in items:
            yield self._one(item)

    def _one(self, item: Item) -> Outcome:
        before = self._seen.get((item.kind, item.id))
        self._seen.setdefault((item.kind, item.id), item.source)
        if before is not None:
            return Outcome(item.noting(refused=[f"is also in {before}: keep one of them"]), "refused")
        if item.refused:
            return Outcome(item, "refused")
        if not _is_finite(item.body):
            return Outcome(item.noting(refused=["holds a number that is too large, such as 1e999"]), "refused")
        try:
            return {"api": self._api, "policy": self._policy, "key": self._key}[item.kind](item)
        except Failure as error:
            if error.exit_code != REFUSED:
                raise
            mistakes = error.details.get("mistakes") or []
            said = place_lines(_shortened(mistakes)) if mistakes else [error.summary]
            if item.kind == "key":  # what a refusal repeats of it is its secret
                said = [line.replace(item.id, "…") for line in said]
            return Outcome(item.noting(refused=said), "refused")
        except Mistakes as error:
            return Outcome(item.noting(refused=place_lines(one._asdict() for one in error.mistakes)), "refused")

    def _api(self, item: Item) -> Outcome:
        known = self._apis.get(item.id)
        place = _place(item)
        if place in self._places:
            said = f"/proxy/listen_path: {self._places[place]} listens on {place}, too"
            return Outcome(item.noting(refused=[said]), "refused")
        query, headers = ("?dry_run=1" if self._dry else ""), self._client.noted(self._note)
        if known is None:
            answer = self._client.call("POST", f"/api/apis{query}", {"api_definition": item.body}, headers)
            happens: Happens = "creates"
        else:
            # its own id there means nothing here, and the webhooks that an operator gave it here stay
            shown = self._client.call("GET", path_of("api", "apis", known["id"]))
            body = {"api_definition": {**item.body, "id": known["id"]}, "hook_references": shown["hook_references"]}
            answer = self._client.call("PUT", path_of("api", "apis", known["id"]) + query, body, headers)
            happens = "is the same" if answer.get("Unchanged") else "updates"
        self._apis.setdefault(item.id, item.body)
        if place:
            self._places[place] = item.id
        self._names[item.id] = str(item.body.get("name") or "")
        return Outcome(item.noting(differs=place_lines(_shortened(answer.get("Warnings", ())))), happens, answer.get("diff", ""))

    def _policy(self, item: Item) -> Outcome:
        item = self._with_rights_that_are_here(item)
        if item.refused:
            return Outcome(item, "refused")
        known = self._policies.get(item.id)
        read = read_policy(item.body, self._known_apis)
        read["org_id"] = read.get("org_id") or (known or {}).get("org_id") or DEFAULT_ORG
        happens: Happens = "creates" if known is None else "is the same" if _same(read, known) else "updates"
        if not self._dry and happens == "creates":
            self._client.call("POST", "/tyk/policies", item.body)
        elif not self._dry and happens == "updates":
            self._client.call("PUT", path_of("tyk", "policies", item.id), item.body)
        self._policies[item.id] = read
        self._owners[item.id] = read["org_id"]
        return Outcome(item, happens)

    def _key(self, item: Item) -> Outcome:
        item = self._with_rights_that_are_here(item)
        if item.refused:
            return Outcome(item, "refused")
        read = read_session(item.body, self._known_apis, self._known_policies)
        hashed = "hashed=1" if item.hashed else ""
        path = path_of("tyk", "keys", item.id)
        known = self._client.call("GET", f"{path}?{hashed}", refusal=False)
        happens: Happens = "creates" if known is None else "is the same" if _same(self._completed(read), known) else "updates"
        if not self._dry and happens != "is the same":
            self._client.call("POST", f"{path}?suppress_reset=1&{hashed}", item.body)
        return Outcome(item, happens)

    def _completed(self, session: dict[str, Any]) -> dict[str, Any]:
        """Add the organisation that the gateway gives to a key that names none."""
        if session.get("org_id"):
            return session
        policies = [self._owners[id] for id in session.get("apply_policies") or () if self._owners.get(id)]
        apis = [str(self._apis[id].get("org_id") or "") for id in session.get("access_rights") or () if id in self._apis]
        return {**session, "org_id": next((one for one in (*policies, *apis) if one), DEFAULT_ORG)}

    def _with_rights_that_are_here(self, item: Item) -> Item:
        """Leave out the rights to APIs that are not here, unless none is left: without rights, a key opens every API."""
        rights = item.body.get("access_rights")
        gone = [api_id for api_id in rights if api_id not in self._names] if isinstance(rights, Mapping) else []
        if not gone or not isinstance(rights, Mapping):
            return item
        listed = [f"the API {api_id}" for api_id in gone]
        if len(gone) == len(rights):
            return item.noting(missing=listed, refused=["none of the APIs that it opens is here"])
        kept = {api_id: right for api_id, right in rights.items() if api_id not in gone}
        return replace(item, body={**item.body, "access_rights": kept}).noting(missing=listed)

    def _known_apis(self, ids: set[str]) -> dict[str, str]:
        return {id: self._names[id] for id in ids if id in self._names}

    def _known_policies(self, ids: Iterable[str]) -> dict[str, str]:
        return {id: self._owners[id] for id in ids if id in self._owners}


def _is_finite(body: Mapping[str, Any]) -> bool:
    try:
        json.dumps(body, allow_nan=False)
    except ValueError:
        return False
    return True


def _place(item: Item) -> str:
    """Return host and path that a definition asks for, "" = none: in a dry run, the gateway does not know of those before it."""
    proxy = item.body.get("proxy")
    if item.body.get("active") is False or not isinstance(proxy, Mapping) or not proxy.get("listen_path"):
        return ""
    domain = "" if item.body.get("domain_disabled") is True else str(item.body.get("domain") or "").lower()
    return f"{domain}{str(proxy['listen_path']).rstrip('/')}/"


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Compare what is stored with what would be: without what is never shown, and with what is absent as good as empty."""
    return bool(_comparable(one) == _comparable(other))


def _comparable(value: Any) -> Any:
    if isinstance(value, Mapping):
        members = {name: _comparable(member) for name, member in value.items() if name not in _HIDDEN and name != "api_name"}
        return {name: member for name, member in members.items() if member not in (None, "", [], {}) and member is not False}
    if isinstance(value, list):
        return [_comparable(one) for one in value]
    return value


def _shortened(places: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return places with pointers into the definition itself."""
    return [{"pointer": one["pointer"].removeprefix("/api_definition"), "message": one["message"]} for one in places]
