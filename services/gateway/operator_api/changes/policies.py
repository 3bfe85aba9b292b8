"""Creating, changing and deleting policies: checked, stored, and in force in every worker before the call answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.gateway.definitions.reader import Mistakes
from services.gateway.definitions.session_schema import read_policy
from services.gateway.keys.changes import EVERY
from services.gateway.operator_api import refusals
from services.gateway.operator_api.changes.owning import owner
from services.gateway.operator_api.changes.ports import Gateway
from services.gateway.stores.definition_model import new_id
from services.gateway.stores.policies import PolicyInUse, PolicyMissing, PolicyOfOthers, PolicyTaken


def existing(gateway: Gateway, id: str) -> dict[str, Any]:
    """Return a policy. Raises OperatorRefusal."""
    policy = gateway.policies.get(id)
    if policy is None:
        raise refusals.policy_unknown()
    return policy


def create(gateway: Gateway, raw: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Create a policy; return its id, and the workers that may not know yet. Raises OperatorRefusal."""
    _refuse_files(gateway)
    policy = _read(gateway, raw)
    policy["id"] = policy["id"] or new_id()
    policy["org_id"] = owner(gateway, policy.get("org_id"))
    try:
        generation = gateway.policies.create(policy)
    except PolicyTaken:
        raise refusals.policy_id_taken() from None
    except PolicyOfOthers:
        raise refusals.policy_of_others() from None
    return policy["id"], gateway.publish_keys(generation, [EVERY])


def update(gateway: Gateway, id: str, raw: Mapping[str, Any]) -> list[str]:
    """Replace a policy wholly; return the workers that may not know yet. Raises OperatorRefusal."""
    _refuse_files(gateway)
    before = existing(gateway, id)
    policy = _read(gateway, raw)
    if policy["id"] not in ("", id):
        raise refusals.policy_id_mismatch()
    policy |= {"id": id, "org_id": owner(gateway, policy.get("org_id") or before.get("org_id"))}
    try:
        generation = gateway.policies.replace(policy)
    except PolicyMissing:
        raise refusals.policy_unknown() from None
    except PolicyOfOthers:
        raise refusals.policy_of_others() from None
    return gateway.publish_keys(generation, [EVERY])


def delete(gateway: Gateway, id: str, *, used: bool) -> list[str]:
    """Delete a policy; return the workers that may not know yet. used: also when keys name it. Raises OperatorRefusal."""
    _refuse_files(gateway)
    try:
        generation = gateway.policies.delete(id, used=used)
    except PolicyMissing:
        raise refusals.policy_unknown() from None
    except PolicyInUse as error:
        raise refusals.policy_in_use(error.keys) from None
    return gateway.publish_keys(generation, [EVERY])


def _read(gateway: Gateway, raw: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return read_policy(raw, gateway.definitions.known)
    except Mistakes as error:
        raise refusals.invalid("policy", error) from None


def _refuse_files(gateway: Gateway) -> None:
    """Raise OperatorRefusal when the policies come from a file: nothing can be written then."""
    if gateway.policies.source == "files":
        raise refusals.policies_from_files()
