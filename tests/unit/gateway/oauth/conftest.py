"""An operator API on a real database, with the endpoints of one API."""

from __future__ import annotations

from tests.unit.gateway.operators import gateway, operator

__all__ = ["gateway", "operator"]
