"""The sessions of organisations: checked, stored, and in force in every worker before the call answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.gateway.definitions import values
from services.gateway.definitions.reader import Mistakes
from services.gateway.definitions.session_schema import read_session
from services.gateway.keys.model import quota_counter
from services.gateway.keys.organisations import organisation_id
from services.gateway.operator_api import refusals
from services.gateway.operator_api.changes.ports import Gateway


def existing(gateway: Gateway, org_id: str) -> dict[str, Any]:
    """Return the session of an organisation. Raises OperatorRefusal."""
    session = gateway.organisations_store.get(org_id)
    if session is None:
        raise refusals.tyk_organisation_unknown()
    return session


def put(gateway: Gateway, org_id: str, raw: Mapping[str, Any], *, reset_quota: bool) -> tuple[bool, list[str]]:
    """Store the session of an organisation; return whether it had none, and the workers that may not know yet. Raises OperatorRefusal."""
    try:
        values.identifier(org_id)
    except ValueError as error:
        raise refusals.organisation_id_wrong(error) from None
    try:
        session = read_session(raw, gateway.definitions.known, lambda _: {})
    except Mistakes as error:
        raise refusals.invalid("organisation", error) from None
    session = {name: value for name, value in session.items() if name not in ("hmac_string", "basic_auth_data")}
    is_new = gateway.organisations_store.put(org_id, {**session, "org_id": org_id})
    unconfirmed = gateway.publish_organisations()
    if reset_quota:
        gateway.reset_counters([quota_counter(organisation_id(org_id))])
    return is_new, unconfirmed


def delete(gateway: Gateway, org_id: str) -> list[str]:
    """Delete the session of an organisation, which then has no limits; return the workers that may not know yet. Raises OperatorRefusal."""
    if not gateway.organisations_store.delete(org_id):
        raise refusals.tyk_organisation_unknown()
    unconfirmed = gateway.publish_organisations()
    gateway.reset_counters([quota_counter(organisation_id(org_id))])
    return unconfirmed
