"""Lines that are imported again and take another course.

The service keeps the members of a route that exists; a timetable for other members would name the wrong stops. So a line keeps a digest of
its members in its record (`COURSE`). When that differs, the line is deleted and created again, or, where others use its node, it loses its
timetable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.mobility.importing.client import Client, encode

COURSE: Final = "course"
_TIMETABLE: Final = ("timezone", "calendar.", "times.")


def digest(cdk_ids: Sequence[str]) -> str:
    """Return the digest of the members of a line."""
    return hashlib.sha256("\n".join(cdk_ids).encode()).hexdigest()[:16]


def prepare(client: Client, layer: str, nodes: Sequence[Mapping[str, Any]], contents: list[bytes], params: Mapping[str, Any]) -> list[int]:
    """Delete the lines that take another course, so that they can be created. contents: of the nodes, as they will be sent.

    Returns the places of those that cannot be deleted; their contents have no timetable then. Raises Refused, Unreachable.
    """
    kept = []
    there = client.write_encoded(layer, contents, params, dry_run=True).get("updated", ())
    by_id = {str(one["id"]): one["cdk_id"] for one in there if "id" in one}
    for place, node in enumerate(nodes):
        cdk_id = by_id.get(str(node["id"]))
        if cdk_id is None or client.data(cdk_id, layer).get(COURSE) == node["data"][COURSE]:
            continue
        if not client.delete_node(cdk_id, layer):
            data = {key: value for key, value in node["data"].items() if not key.startswith(_TIMETABLE) and key != COURSE}
            contents[place] = encode({**node, "data": data})
            kept.append(place)
    return kept
