"""Turns the session that an `auth_check` script returns into a key.

The session is checked as one that an operator stores: what is misspelled or of a wrong type would let in more than its author meant. Its
organisation is that of the API. Whose limits count, the script says: `AuthValue` beside the session, or in it `key_id`, or `token` of its
`meta_data`; who is named by none of them shares the limits of all such callers of the API.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from services.common.remembered import Remembered
from services.gateway.definitions.model import DEFAULT_ORG
from services.gateway.definitions.reader import Mistakes
from services.gateway.definitions.session_schema import read_session
from services.gateway.keys.model import Made, made_by_script
from services.gateway.keys.policies import policy_ids
from services.gateway.scripts.scripts import Out

# What counts, or is of a key that somebody stores: the gateway counts itself, and the script has checked who calls.
_UNUSED: Final = frozenset({
    "allowance", "basic_auth_data", "certificate", "hmac_enabled", "hmac_string", "id_extractor_deadline", "jwt_data", "key_id",
    "last_check", "last_updated", "quota_remaining", "quota_renews",
})  # fmt: skip


class ScriptedKeys:
    """Of one API. It remembers the sessions that were checked."""

    def __init__(self, api_id: str, org_id: str) -> None:
        self._api_id = api_id
        self._org_id = org_id or DEFAULT_ORG
        self._known: Remembered[str, Made] = Remembered()

    def made(self, out: Out) -> Made:
        """Return the key of what a script gave. Raises ValueError that says what is wrong with the session."""
        returned = out["session"]
        if not isinstance(returned, Mapping):
            raise ValueError("the session is no object")
        given = {str(name).lower(): value for name, value in returned.items()}
        if len(given) < len(returned):
            raise ValueError("the session has a field twice, in two spellings")
        meta = given.get("meta_data") or {}
        if not isinstance(meta, Mapping):
            raise ValueError("the meta_data of the session is no object")
        who = str(out.get("who") or given.get("key_id") or meta.get("token") or "")
        session = {name: value for name, value in given.items() if name not in _UNUSED}
        try:
            text = json.dumps([who, session])
            known = self._known.get(text)
            return self._known.keep(text, self._checked(who, session), len(text)) if known is None else known
        except RecursionError:
            raise ValueError("the session is nested too deep") from None

    def _checked(self, who: str, given: Mapping[str, Any]) -> Made:
        org = self._org_id
        try:
            session = read_session(
                {**given, "org_id": org}, lambda ids: dict.fromkeys(ids, ""), lambda ids: dict.fromkeys(ids, org),
                lambda ids: dict.fromkeys(ids, org),
            )  # fmt: skip
        except Mistakes as error:
            raise ValueError(f"the session has mistakes: {error}") from None
        return made_by_script(org, f"as {who}" if who else f"of {self._api_id}", session, tuple(policy_ids(session)))
