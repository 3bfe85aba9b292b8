"""An operator API on a real database."""

from __future__ import annotations

from tests.unit.gateway.operators import gateway, make_definition, make_session, operator

__all__ = ["gateway", "make_definition", "make_session", "operator"]
