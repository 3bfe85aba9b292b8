"""Refuses keys that have no right to this API, to the version asked for, or to the path.

It looks at the key's `access_rights` (none = every API) and, in them, at the `allowed_urls` of the API: `[{"url": pattern, "methods":
[...]}]`, with patterns as in path_lists (none = every path). When the API is `not_versioned`, the versions in the key's rights do not
count, as in Tyk.

Refusals: access-denied, resource-denied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from services.common.remembered import Remembered
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key
from services.gateway.ports import Ports
from services.gateway.refusals import ACCESS_DENIED, RESOURCE_DENIED, Refusal
from services.gateway.routing.endpoints import Endpoint, EndpointTable
from services.gateway.routing.paths import matching_forms
from services.gateway.routing.patterns import PatternError, translate


@dataclass(frozen=True, slots=True)
class Spec:
    """versioned: whether the versions of a key's rights count."""

    api_id: str
    versioned: bool


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the API's id and whether it has versions; None for a keyless API."""
    definition = reader.definition
    return None if definition.use_keyless else Spec(definition.api_id, not definition.not_versioned)


def build(spec: Spec, ports: Ports) -> AccessRights:
    """Build the check of one API."""
    return AccessRights(spec.api_id, spec.versioned)


class Known(NamedTuple):
    """A key in its state of then, and what it may reach. versions: None = all; table: of its paths, None = all."""

    key: Key
    versions: frozenset[str] | None
    table: EndpointTable[bool] | None


class AccessRights:
    """The check of one API. It looks at the rights of a key, and builds the table of its `allowed_urls`, once for each state of the key."""

    __slots__ = ("_api_id", "_known", "_versioned")

    def __init__(self, api_id: str, versioned: bool) -> None:
        self._api_id = api_id
        self._versioned = versioned
        self._known: Remembered[str, Known] = Remembered()

    def on_request(self, exchange: Exchange) -> None:
        key = exchange.key
        assert key is not None  # authentication came before
        known = self._known.get(key.id)
        if known is None or known[0] is not key:
            known = self._remember(key)
        if known[1] is not None or known[2] is not None:
            _check(exchange, known)
        if exchange.further_keys:
            for key in exchange.further_keys:
                known = self._known.get(key.id)
                _check(exchange, known if known is not None and known[0] is key else self._remember(key))

    def _remember(self, key: Key) -> Known:
        """Find the rights of a key. Raises Refusal when it has none to this API: that is not remembered."""
        rights = key.access_rights
        if rights is None:
            if key.issued_by not in ("", self._api_id):  # an access token is no master key, whatever became of its policy
                raise Refusal(ACCESS_DENIED, detail="The access token was issued for another API, and has no rights to this one.")
            return self._known.keep(key.id, Known(key, None, None))
        versions = rights.get(self._api_id)
        if versions is None:
            raise Refusal(ACCESS_DENIED, detail="The key is known, but its access rights do not name this API.")
        return self._known.keep(key.id, Known(key, versions if self._versioned else None, _table(key, self._api_id)))


def _check(exchange: Exchange, known: Known) -> None:
    """Check the version and the path. Raises Refusal."""
    if known.versions is not None and exchange.version_name not in known.versions:
        name = exchange.version_name
        raise Refusal(ACCESS_DENIED, detail=f"The key's access rights to this API do not name its version `{name}`.")
    if known.table is not None and not _allowed(known.table, exchange):
        raise Refusal(RESOURCE_DENIED)


def _allowed(table: EndpointTable[bool], exchange: Exchange) -> bool:
    """Tell whether a path is allowed. One with `%2F` or `%5C` must be allowed in all of its readings, as in path lists."""
    if "%" not in exchange.relative:
        return table.find_matching(exchange.method, exchange.relative)
    return all(table.find_matching(exchange.method, form) for form in matching_forms(exchange.relative))


def _table(key: Key, api_id: str) -> EndpointTable[bool] | None:
    rights = key.session.get("access_rights")
    granted = rights.get(api_id) if isinstance(rights, Mapping) else None
    entries = granted.get("allowed_urls") if isinstance(granted, Mapping) else None
    if not entries:
        return None
    return EndpointTable([endpoint for entry in entries for endpoint in _endpoint(entry)], default=False)


def _endpoint(entry: Any) -> list[Endpoint[bool]]:
    """Read an entry of `allowed_urls`; one that cannot be read allows nothing."""
    try:
        return [Endpoint(translate(entry["url"]), tuple(entry["methods"]), True)]
    except (PatternError, KeyError, TypeError):
        return []
