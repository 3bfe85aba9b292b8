"""Sends requests on to another API of the gateway, or to the same one again, without a network (`tyk://`).

`tyk://API/path` may stand in `proxy.target_url`, `override_target` and `rewrite_to`. API is the id or the name of an API of the same
organisation (of a name, letters and digits count), and in `rewrite_to` also `self`. The path is below the listen path there. The other API
judges the request as one of the client: by its address, with the header fields as they are now, and with a key where it asks for one.
Within an API (`self`) the key is not asked for again. Options in the query, which must stand there literally:

* `check_limits`: whether rates and quotas of the other API count: `true` by default, in `rewrite_to` `false`. Those of the
  organisation were taken by the first API.
* `method`: the method there.
* `loop_limit`: how many times a request may be sent on, 5 by default, at most 20. The first API that says it decides.

The first API's changes of answers are made behind those of the others. CORS is the first API's alone.

Refusals: none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.gateway.definitions.model import TargetUrl
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange, Looped, Target
from services.gateway.ports import Ports
from services.gateway.targets import target

_SCHEME = "tyk://"


@dataclass(frozen=True, slots=True)
class Spec:
    """usual: where requests go that no other stage has sent elsewhere, None = to an upstream."""

    usual: TargetUrl | None


def fields(reader: DefinitionReader) -> Spec | None:
    """Look for `tyk://`; None when no target has it."""
    targets = reader.definition.proxy.targets
    usual = targets[0] if targets and targets[0].loop is not None else None
    return Spec(usual) if usual is not None or _names_apis(reader.version_data.value("versions")) else None


def _names_apis(value: Any) -> bool:
    """Tell whether any text is an address of an API."""
    if isinstance(value, str):
        return value[: len(_SCHEME)].lower() == _SCHEME
    if isinstance(value, Mapping):
        return any(_names_apis(member) for member in value.values())
    return isinstance(value, list) and any(_names_apis(member) for member in value)


def build(spec: Spec, ports: Ports) -> Looping:
    """Build the usual target."""
    return Looping(None if spec.usual is None else target(spec.usual))


class Looping:
    """Answers with `Looped` where another API is the target."""

    __slots__ = ("_usual",)

    def __init__(self, usual: Target | None) -> None:
        self._usual = usual

    def on_request(self, exchange: Exchange) -> Looped | None:
        chosen = exchange.target or self._usual
        return None if chosen is None or chosen.loop is None else Looped(chosen)
