"""Runs the scripts of `custom_middleware.post`, the last that see a request before the upstream gets it.

Headers that they change are changed for the upstream only.

A fault or a time-out of a script ends the request.

Fields:
* `custom_middleware.post` (1.3): Scripts that run last, in their order. Differs: A fault or a time-out of a script is answered 500. 1.4
  lets the request pass.
* `custom_middleware.post[].name` (1.3, required): As in `pre`.
* `custom_middleware.post[].path` (1.3, required): As in `pre`.
* `custom_middleware.post[].require_session` (1.3): As in `post_key_auth`.
* `custom_middleware.post[].raw_body_only` (2.9): Has no effect: it belongs to plug-ins by gRPC.
* `custom_middleware.post[].disabled` (5.3): Leaves the script out.
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
    chosen = () if scripts is None else scripts.of("post")
    return Spec(scripts, chosen) if scripts is not None and chosen else None


def build(spec: Spec, ports: Ports) -> CustomPost:
    """Load the files. Raises Mistakes."""
    return CustomPost(ports.scripts, ports.scripts.load(spec.scripts), spec.chosen, before_authentication=False)


class CustomPost(Hooks):
    """Runs the scripts; what they change is what the upstream gets."""

    __slots__ = ()
