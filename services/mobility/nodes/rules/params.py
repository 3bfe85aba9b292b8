"""`create.params` of a bulk: how its nodes are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import msgspec

from services.mobility import refusals
from services.mobility.geometry import systems
from services.mobility.nodes.rules.records import read_modalities

CreateType = Literal["update", "routes", "create"]

NODE_TYPES: Final = ("node", "route", "ptstop", "ptline")
_LONGEST: Final = 10_000  # bytes of all parameters as JSON
_SHOWN: Final = 100  # characters of a wrong value


@dataclass(frozen=True, slots=True)
class Params:
    """echo: as given. modalities: bits of the nodes themselves. node_type: None, route if it has members, else node."""

    echo: Mapping[str, Any]
    create_type: CreateType
    srid: int
    modalities: int | None
    node_type: str | None


def read(body: Mapping[str, Any]) -> Params:
    """Read the parameters of a bulk; what is not there has its default. Raises Refusal 422."""
    create = body.get("create", {})
    given = create.get("params", {}) if isinstance(create, dict) else None
    if not isinstance(given, dict):
        raise refusals.invalid("No 'create/params' object supplied", "params-invalid")
    if _is_long(given):
        raise refusals.invalid(f"'create/params' has at most {_LONGEST:,} bytes as JSON", "params-invalid")
    kind = given.get("create_type")
    if kind is not None and kind not in get_args(CreateType):
        raise _invalid("create_type", kind)
    node_type = given.get("node_type")
    if node_type is not None and node_type not in NODE_TYPES:
        raise _invalid("node_type", node_type)
    modalities = read_modalities(given.get("modalities"), "Incorrect modality encountered in root modalities")
    return Params(given, kind or "update", systems.read_srid(given.get("srid")), modalities, node_type)


def _is_long(given: Mapping[str, Any]) -> bool:
    """Say whether parameters, which stand in the answer as they were given, are too many."""
    try:
        return len(msgspec.json.encode(given)) > _LONGEST
    except RecursionError:
        return True


def _invalid(name: str, value: object) -> Exception:
    shown = "…" if isinstance(value, (list, dict)) else str(value)[:_SHOWN]
    return refusals.invalid(f"Invalid '{name}' parameter supplied. ({shown}).", f"{name.replace('_', '-')}-invalid")
