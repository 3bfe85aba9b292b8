"""Operators: read in Tyk's shape of a user, checked, and stored with the hash of their access key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.gateway.definitions import values
from services.gateway.definitions.reader import Mistakes, Reader, Report
from services.gateway.operator_api import refusals
from services.gateway.operator_api.changes.ports import Gateway
from services.gateway.operator_key import access_key_hash, new_access_key
from services.gateway.stores.operators import ROLES, Operator, OperatorMissing

_LONGEST: Final = 200
_NAMES: Final = ("first_name", "last_name", "email_address")


def existing(gateway: Gateway, id: str) -> Operator:
    """Return an operator. Raises OperatorRefusal."""
    found = gateway.operators.get(id)
    if found is None:
        raise refusals.operator_unknown()
    return found


def create(gateway: Gateway, raw: Mapping[str, Any]) -> tuple[Operator, str]:
    """Store a new operator; return it and its access key, which is shown only then. Raises OperatorRefusal, OtherOrganisation."""
    key, hash = _new_key()
    return gateway.operators.create(_read(gateway, raw, is_new=True), hash), key


def update(gateway: Gateway, id: str, raw: Mapping[str, Any]) -> Operator:
    """Change an operator; organisation, role and whether it is active stay when they are left out.

    When it is switched off, its key is refused by every worker from now on. Raises OperatorRefusal, OtherOrganisation.
    """
    existing(gateway, id)
    if raw.get("id") not in (None, "", id):
        raise refusals.operator_id_mismatch()
    try:
        return gateway.operators.replace(id, _read(gateway, raw, is_new=False))
    except OperatorMissing:
        raise refusals.operator_unknown() from None


def delete(gateway: Gateway, id: str) -> None:
    """Delete an operator; its key is refused by every worker from now on. Raises OperatorRefusal."""
    try:
        gateway.operators.delete(id)
    except OperatorMissing:
        raise refusals.operator_unknown() from None


def rotate(gateway: Gateway, id: str, overlap: float) -> tuple[Operator, str]:
    """Give an operator another access key; the present one works for `overlap` seconds more. Raises OperatorRefusal."""
    key, hash = _new_key()
    try:
        return gateway.operators.rotate(id, hash, overlap), key
    except OperatorMissing:
        raise refusals.operator_unknown() from None


def _new_key() -> tuple[str, str]:
    key = new_access_key()
    hash = access_key_hash(key.encode())
    assert hash is not None
    return key, hash


def _read(gateway: Gateway, raw: Mapping[str, Any], *, is_new: bool) -> dict[str, Any]:
    """Return the columns of an operator; of one that is not new, without those that stay: somebody else may change them meanwhile.

    Raises OperatorRefusal with every mistake, OtherOrganisation.
    """
    report = Report()
    reader = Reader(raw, "", report)
    read: dict[str, Any] = {}
    for name in _NAMES:
        read[name] = reader.text(name).strip()
        if len(read[name]) > _LONGEST or not (read[name] or "x").isprintable():
            reader.mistake(name, f"must have at most {_LONGEST} characters, and no control characters")
    if not any(read.values()):
        reader.mistake("email_address", "give the operator a name: email_address, first_name or last_name")
    if is_new or "role" in reader:
        read["role"] = reader.choice("role", ROLES, "reader")
    if is_new or "active" in reader:
        read["active"] = reader.flag("active", True)
    if is_new or "org_id" in reader:
        read["org_id"] = reader.text("org_id") or gateway.caller.org_id
    if read.get("org_id"):
        try:
            values.identifier(read["org_id"])
        except ValueError as error:
            reader.mistake("org_id", str(error))
    for name, instead in (("password", "there are no passwords, only access keys"), ("access_key", "it is created here")):
        if reader.text(name):
            reader.mistake(name, f"cannot be given: {instead}")
    if report.mistakes:
        raise refusals.invalid("operator", Mistakes(report.mistakes))
    if "org_id" in read:
        gateway.caller.check(read["org_id"])
    return read
