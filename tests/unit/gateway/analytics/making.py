"""Requests that were answered, and their records, for the tests of analytics."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

from services.gateway.analytics.record import Batch, Noted, Record, record_of
from services.gateway.compiler import compile_api
from services.gateway.exchange import CompiledApi
from services.gateway.keys.model import Key
from tests.unit.gateway.exchanges import definition, ports

NOON = 1_800_014_400.0  # 2027-01-15 12:00 UTC
HOUR = 3600.0
KEEP_S = 90 * 86_400


def api(**changes: Any) -> CompiledApi:
    """An API of the organisation `acme`, from its definition."""
    return compile_api(definition(**{"org_id": "acme", **changes}), ports(), 1)


_API = api()


_NUMBERS = itertools.count(1)


def batch() -> Batch:
    """One that was never written."""
    return Batch("writer", next(_NUMBERS))


def record(
    at: float = NOON,
    api_id: str = "api",
    key: str = "",
    path: str = "/",
    code: int = 200,
    ms: float = 2.0,
    *,
    of: CompiledApi | None = None,
    org_id: str = "acme",
    version: str = "",
    client: str = "",
) -> Record:
    """A record. of: its API, None = one with this api_id and organisation. client: of OAuth2."""
    own = of or replace(_API, api_id=api_id, org_id=org_id, name=f"name of {api_id}")
    found = Key(id=key, alias=f"alias of {key}", session={"oauth_client_id": client}) if key else None
    noted: Noted = (at, own, found, "GET", f"/api{path}", path, version, code, ms / 1000, 0, "")
    return record_of(noted, KEEP_S)
