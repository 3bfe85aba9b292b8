"""Keys of which only the hash of the secret is known: those of a Tyk that hashes its keys with SHA-256.

It is the hash that the store has of every secret, so such a key is like any other, but its secret is known to its client alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from services.gateway.definitions.reader import Mistake, Mistakes
from services.gateway.operator_api import refusals
from services.gateway.operator_api.changes import keys
from services.gateway.operator_api.changes.ports import Gateway
from services.gateway.stores.keys import SecretTaken, StoredKey

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_OF_OTHERS: Final = ("basic_auth_data", "certificate")  # what is found by another hash than that of a secret


def find(gateway: Gateway, hash: str) -> StoredKey | None:
    """Find the key that a secret opens. hash: SHA-256 of the secret, in hexadecimal digits."""
    opened = gateway.keys_store.by_hash(hash)
    return None if opened is None else gateway.keys_store.get(opened.key.id)


def existing(gateway: Gateway, hash: str) -> StoredKey:
    """Find a key as `find` does. Raises OperatorRefusal."""
    found = find(gateway, hash)
    if found is None:
        raise refusals.key_unknown()
    return found


def put(gateway: Gateway, hash: str, raw: Mapping[str, Any], *, keep_counters: bool) -> keys.Change:
    """Store a key by the hash of its secret; replaces the key that already has it. Raises OperatorRefusal.

    Only for an operator of all organisations: nobody can tell whose secret, user or certificate a hash is of.
    """
    if gateway.caller.org_id:
        raise _wrong("", "only an operator of all organisations can store a key by the hash of its secret")
    if not _SHA256.fullmatch(hash):
        raise _wrong("", "must be the SHA-256 of a secret: 64 hexadecimal digits in lower case")
    for name, value in raw.items():
        if name.lower() in _OF_OTHERS and value:
            raise _wrong(f"/{name}", "cannot be of a key that is known by the hash of its secret")
    before = find(gateway, hash)
    if before is None:
        try:
            return replace(keys.create(gateway, raw, hash), name=hash)
        except SecretTaken:
            before = find(gateway, hash)  # somebody created it between the look-up and the write
            if before is None:
                raise refusals.name_was_a_secret() from None
    return replace(keys.update(gateway, before, raw, keep_counters=keep_counters), name=hash)


def _wrong(pointer: str, message: str) -> refusals.OperatorRefusal:
    return refusals.invalid("key", Mistakes([Mistake(pointer, message)]))
