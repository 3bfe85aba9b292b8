"""Runs the scripts of `custom_middleware.post`, the last that see a request before the upstream gets it.

Headers that they change are changed for the upstream only.

A fault or a time-out of a script ends the request.

Fields:
* `custom_middleware.post` (1.3): Scripts that run last, in their order. Differs: A fault or a time-out of a script is answered 500. 1.4
  lets the request pass.
* `custom_middleware.post[].name` (1.3, required): As in `pre`.
* `custom_middleware.post[].path` (1.3): As in `pre`.
* `custom_middleware.post[].code` (2.7): As in `pre`.
* `custom_middleware.post[].require_session` (1.3): As in `post_key_auth`.
* `custom_middleware.post[].raw_body_only` (2.9): Has no effect: it belongs to plug-ins by gRPC.
* `custom_middleware.post[].disabled` (5.3): Leaves the script out.
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
    return Hooks.of("post", spec, ports.scripts)
