"""What scripts may ask and change of keys: `TykGetKeyData`, `TykSetKeyData`, and the `meta_data` that they return. In threads.

A script reaches the keys of its API's organisation, by their public ids or their secrets, and no others. It cannot create one.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

from services.common import logging as logs
from services.gateway.definitions.model import DEFAULT_ORG
from services.gateway.definitions.reader import Mistakes
from services.gateway.definitions.session_schema import read_session
from services.gateway.keys.model import Key, certificate_hash, secret_hash, user_hash
from services.gateway.keys.policies import policy_ids
from services.gateway.stores.certificates import CertificateStore
from services.gateway.stores.definitions import DefinitionStore
from services.gateway.stores.keys import KeyMissing, KeyStore, StoredKey
from services.gateway.stores.policies import PolicyStore
from services.gateway.threads import Threads

log = logs.get(__name__)

_AT_ONCE: Final = 2
_MOST_WAITING: Final = 1000
_SECRETS: Final = frozenset({"hmac_string", "basic_auth_data", "jwt_data"})
_NOT_FOUND: Final = '{"status": "error", "message": "Key not found"}'


class ScriptKeys:
    """One for each worker. publish: makes every worker forget the keys of a change."""

    def __init__(
        self,
        keys: KeyStore,
        definitions: DefinitionStore,
        policies: PolicyStore,
        certificates: CertificateStore,
        publish: Callable[[int, Iterable[str]], object],
    ) -> None:
        self._keys = keys
        self._definitions = definitions
        self._policies = policies
        self._certificates = certificates
        self._publish = publish
        self._threads = Threads(_AT_ONCE, "script-keys")
        self._lock = threading.Lock()
        self._meta: dict[str, dict[str, Any]] = {}

    async def ask(self, org_id: str, name: str, arguments: list[str]) -> Any:
        """Answer a key function of a script. org_id: of its API. Raises ValueError."""
        work = {"TykGetKeyData": self._get, "TykSetKeyData": self._set}[name]
        return await asyncio.wrap_future(self._threads.submit(work, org_id, arguments))

    def _get(self, org_id: str, arguments: list[str]) -> str:
        found = self._find(org_id, arguments[0])
        if found is None:
            return _NOT_FOUND
        return json.dumps({name: value for name, value in found.session.items() if name not in _SECRETS})

    def _set(self, org_id: str, arguments: list[str]) -> None:
        found = self._find(org_id, arguments[0])
        if found is None:
            raise ValueError("the key does not exist; a script cannot create one")
        try:
            given = json.loads(arguments[1])
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise ValueError("the session must be a JSON object, as text")
        org = org_id or DEFAULT_ORG
        kept: dict[str, Any] = {name: found.session[name] for name in ("org_id", "certificate") if name in found.session}
        given = {name: value for name, value in given.items() if name not in _SECRETS}
        try:
            session = read_session({**given, **kept}, lambda ids: self._own(org, ids), self._policies.owners, self._certificates.owners)
        except Mistakes as error:
            raise ValueError(f"the session has mistakes: {error}") from None
        if any(owner not in ("", org) for owner in self._policies.owners(policy_ids(session)).values()):
            raise ValueError("a policy is of another organisation")
        self._tell(self._keys.replace(found.id, {**session, **kept}))

    def _own(self, org: str, api_ids: set[str]) -> dict[str, str]:
        found = {}
        for id in api_ids:
            stored = self._definitions.get(id)
            if stored is not None and (str(stored.raw.get("org_id") or "") or DEFAULT_ORG) == org:
                found[id] = str(stored.raw.get("name") or "")
        return found

    def _find(self, org_id: str, name: str) -> StoredKey | None:
        org = org_id or DEFAULT_ORG
        found = self._keys.get(name)
        for text in () if found is not None else (org + name, name):
            for hash in (secret_hash(text), user_hash(text), certificate_hash(text)):
                opened = self._keys.by_hash(hash) if found is None else None
                found = found if opened is None else self._keys.get(opened.key.id)
        return found if found is not None and str(found.session.get("org_id") or DEFAULT_ORG) == org else None

    def _tell(self, stored: StoredKey) -> None:
        self._publish(stored.generation, stored.changed)

    def save_meta(self, key: Key, meta: dict[str, Any]) -> None:
        """Take what becomes the `meta_data` of a key; it is written behind the answer. Of several for one key, the last counts."""
        with self._lock:
            waiting = key.id in self._meta
            if not waiting and len(self._meta) >= _MOST_WAITING:
                log.error("meta_data of a key lost", reason="the database cannot follow", key_id=key.id)
                return
            self._meta[key.id] = meta
        if not waiting:
            self._threads.submit(self._save_meta, key.id)

    def _save_meta(self, id: str) -> None:
        with self._lock:
            meta = self._meta.pop(id)
        try:
            stored = self._keys.get(id)
            if stored is not None and (stored.session.get("meta_data") or {}) != meta:
                self._tell(self._keys.replace_meta(id, meta))
        except KeyMissing:
            pass  # deleted meanwhile
        except Exception as error:
            log.error("meta_data of a key lost", reason=type(error).__name__, key_id=id)
