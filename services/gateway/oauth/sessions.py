"""What an access token may do: the session of its key, from the `key_rules` of a log-in or from the policy of its client."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from services.gateway.definitions.model import Definition
from services.gateway.definitions.reader import Mistake, Mistakes, read_json
from services.gateway.definitions.session_schema import KnownApis, KnownPolicies, read_session
from services.gateway.keys.policies import policy_ids
from services.gateway.stores.oauth import Client

# A token is no user, and its requests are not signed.
_LEFT_OUT: Final = ("basic_auth_data", "hmac_enabled", "hmac_string")


def of_key_rules(text: str, client: Client, definition: Definition, apis: KnownApis, policies: KnownPolicies) -> dict[str, Any]:
    """Read a session object. Without rights and without a policy it opens this one API. Raises Mistakes."""
    session = read_session(read_json(text), apis, policies)
    try:
        json.dumps(session, allow_nan=False)
    except ValueError:
        raise Mistakes([Mistake("", "holds a number that is too large")]) from None
    if client.policy_id and not policy_ids(session):
        session["apply_policies"] = [client.policy_id]
    if not session.get("access_rights") and not policy_ids(session):
        api_id = definition.api_id
        session["access_rights"] = {api_id: {"api_id": api_id, "api_name": definition.name, "versions": [*definition.versions]}}
    return _completed(session, client)


def of_policy(client: Client) -> dict[str, Any]:
    """Return a session that says what the client's policy says."""
    return _completed({"apply_policies": [client.policy_id]}, client)


def _completed(session: Mapping[str, Any], client: Client) -> dict[str, Any]:
    kept = {name: value for name, value in session.items() if name not in _LEFT_OUT}
    return {**kept, "org_id": session.get("org_id") or client.org_id, "oauth_client_id": client.id}
