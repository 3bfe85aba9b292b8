"""Runs the scripts of `custom_middleware.post_key_auth` when it is known whose request it is and its limits are charged.

Headers that they change are changed for the upstream only.

A fault or a time-out of a script ends the request. An ignored path leaves them out, as all that asks for a key.

Fields:
* `custom_middleware.post_key_auth` (2.3): Scripts that run behind authentication, in their order. Differs: They run behind rate limit and
  quota, so a request that is refused there never reaches them.
* `custom_middleware.post_key_auth[].name` (2.3, required): As in `pre`.
* `custom_middleware.post_key_auth[].path` (2.3): As in `pre`.
* `custom_middleware.post_key_auth[].code` (2.7): As in `pre`.
* `custom_middleware.post_key_auth[].require_session` (2.3): The script gets the session of the key, and what it returns as `SessionMeta`
  becomes the `meta_data` of the key.
* `custom_middleware.post_key_auth[].raw_body_only` (2.9): Has no effect: it belongs to plug-ins by gRPC.
* `custom_middleware.post_key_auth[].disabled` (5.3): Leaves the script out.
Refusals: script-failed, script-timeout, script-refused, scripts-busy.
"""

from __future__ import annotations

from services.gateway.definitions.model import ScriptSet
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.ports import Ports
from services.gateway.scripts.hooks import Hooks


def fields(reader: DefinitionReader) -> ScriptSet:
    """Return all scripts of the API; whether there are any here, its folders may tell only when it is built."""
    return reader.definition.scripts


def build(spec: ScriptSet, ports: Ports) -> Hooks | None:
    """Load the files; None when there are no scripts here. Raises Mistakes."""
    return Hooks.of("post_key_auth", spec, ports.scripts)
