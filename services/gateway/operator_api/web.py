"""How a route reaches its gateway."""

from __future__ import annotations

from typing import Final, cast

from flask import current_app

from services.gateway.operator_api.changes.ports import Gateway

EXTENSION: Final = "gatehouse"


def gateway() -> Gateway:
    """Return the gateway of the running application."""
    return cast(Gateway, current_app.extensions[EXTENSION])
