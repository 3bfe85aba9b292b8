"""How a node looks in an answer. No framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.mobility import modalities


def record(data: Mapping[str, Any], bits: int | None) -> dict[str, Any]:
    """What a layer says of a node: `{"data", "modalities"?}`."""
    shown: dict[str, Any] = {"data": data}
    if bits is not None:
        shown["modalities"] = modalities.names(bits)
    return shown
