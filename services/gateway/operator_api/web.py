"""How a route reaches its gateway."""

from __future__ import annotations

from typing import Final, cast

from flask import current_app, g

from services.gateway.operator_api.changes.on_behalf import OnBehalf
from services.gateway.operator_api.changes.ports import Gateway
from services.gateway.stores.callers import Caller

EXTENSION: Final = "gatehouse"


def gateway() -> Gateway:
    """Return the gateway as the caller sees it. Only for routes that need a key: elsewhere there is no caller."""
    return cast(Gateway, g.gateway)


def whole_gateway() -> Gateway:
    """Return the gateway with everything: to find out who calls, and for what everybody may know."""
    return cast(Gateway, current_app.extensions[EXTENSION])


def enter(caller: Caller) -> None:
    """Let the routes of this request work on behalf of a caller."""
    g.gateway = OnBehalf(whole_gateway(), caller)
