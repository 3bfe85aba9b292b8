"""Whose something new is, when the caller does not say."""

from __future__ import annotations

from typing import Any

from services.gateway.definitions.model import DEFAULT_ORG
from services.gateway.operator_api.changes.ports import Gateway


def own_organisation(gateway: Gateway) -> str:
    """Return the caller's organisation; the default one for who sees everything."""
    return gateway.caller.org_id or DEFAULT_ORG


def owner(gateway: Gateway, given: Any) -> str:
    """Return the organisation that a document names, or else the caller's. Raises OtherOrganisation."""
    org_id = str(given or own_organisation(gateway))
    gateway.caller.check(org_id)
    return org_id
