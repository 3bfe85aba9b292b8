"""Runs the scripts of `custom_middleware.post_key_auth` when it is known whose request it is and its limits are charged.

Headers that they change are changed for the upstream only.

A fault or a time-out of a script ends the request. An ignored path leaves them out, as all that asks for a key.

Fields:
* `custom_middleware.post_key_auth` (2.3): Scripts that run behind authentication, in their order. Differs: They run behind rate limit and
  quota, so a request that is refused there never reaches them.
* `custom_middleware.post_key_auth[].name` (2.3, required): As in `pre`.
* `custom_middleware.post_key_auth[].path` (2.3, required): As in `pre`.
* `custom_middleware.post_key_auth[].require_session` (2.3): The script gets the session of the key, and what it returns as `SessionMeta`
  becomes the `meta_data` of the key.
* `custom_middleware.post_key_auth[].raw_body_only` (2.9): Has no effect: it belongs to plug-ins by gRPC.
* `custom_middleware.post_key_auth[].disabled` (5.3): Leaves the script out.
Refusals: script-failed, script-timeout, script-refused, scripts-busy.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.gateway.definitions.model import Script, ScriptSet
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.ports import Ports
from services.gateway.scripts.hooks import Hooks


@dataclass(frozen=True, slots=True)
class Spec:
    """scripts: all of the API. chosen: those of this place."""

    scripts: ScriptSet
    chosen: tuple[Script, ...]


def fields(reader: DefinitionReader) -> Spec | None:
    """Return the scripts; None when there are none here."""
    scripts = reader.definition.scripts
    chosen = () if scripts is None else scripts.of("post_key_auth")
    return Spec(scripts, chosen) if scripts is not None and chosen else None


def build(spec: Spec, ports: Ports) -> CustomPostKey:
    """Load the files. Raises Mistakes."""
    return CustomPostKey(ports.scripts, ports.scripts.load(spec.scripts), spec.chosen, before_authentication=False)


class CustomPostKey(Hooks):
    """Runs the scripts; what they change is what the upstream gets."""

    __slots__ = ()
