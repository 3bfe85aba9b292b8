"""What the policy of an analysis or a middleware token allows: (resource, actions) pairs, which auth keeps.

A resource is `device` (all devices of the account), `device:<id>` or `*`. `access` and `read` let it read; `edit` change what there is and
send data; `create` and `delete` what they say, of devices; `write` all three; `*` everything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

Policy = Iterable[tuple[str, frozenset[str]]]
Need = Literal["read", "write", "create", "delete"]

_ENOUGH: Final[dict[Need, frozenset[str]]] = {
    "read": frozenset({"read", "access", "*"}),
    "write": frozenset({"write", "edit", "*"}),
    "create": frozenset({"write", "create", "*"}),
    "delete": frozenset({"write", "delete", "*"}),
}
_ALL: Final = frozenset({"*", "device", "device:*"})
_ONE: Final = "device:"


def allows(policy: Policy, need: Need, device_id: str | None) -> bool:
    """Say whether it allows this on a device. device_id: None for one that is not there yet."""
    named = _ALL if device_id is None else _ALL | {_ONE + device_id}
    return any(resource in named and actions & _ENOUGH[need] for resource, actions in policy)


def readable(policy: Policy) -> frozenset[str] | None:
    """Return the ids of the devices that it lets read; None when that is all of the account."""
    named = {resource for resource, actions in policy if actions & _ENOUGH["read"]}
    if named & _ALL:
        return None
    return frozenset(resource.removeprefix(_ONE) for resource in named if resource.startswith(_ONE))
