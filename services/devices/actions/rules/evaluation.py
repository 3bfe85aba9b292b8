"""When an action fires: once a request, by the records of that request.

An action with unlock conditions locks when it fires, for the device that fired it. While it is locked for a device, only a record that
matches an unlock condition frees it, and the request that frees it does not fire it as well. Each request changes the lock once at most
(TagoIO).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from services.devices.actions.rules.conditions import Condition, compiled
from services.devices.actions.rules.matching import Sent

Tags = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Watch:
    """An action whose conditions are ready to be asked. version: of the action that they were made of."""

    id: str
    version: int
    conditions: tuple[Condition, ...]

    @property
    def locks(self) -> bool:
        """Say whether it locks when it fires: it has a condition that frees it."""
        return any(condition.unlock for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request does to an action. fired_by: places of the records that matched, in the request; empty = it does not fire.

    locked: of the action for this device from now on.
    """

    fired_by: tuple[int, ...]
    locked: bool


def watch(id: str, version: int, trigger: Iterable[Mapping[str, Any]]) -> Watch:
    """Make an action ready to be asked. trigger: its checked conditions."""
    return Watch(id, version, tuple(map(compiled, trigger)))


class Watches:
    """The active actions of an account, found by the variables that they watch: a request that concerns none costs next to nothing.

    size: how many conditions they have together.
    """

    def __init__(self, watches: Iterable[Watch]) -> None:
        self._of_device: dict[str, dict[str, list[tuple[Watch, Condition]]]] = {}
        self._of_tags: dict[str, list[tuple[Watch, Condition]]] = {}
        self.size = 0
        for one in watches:
            for condition in one.conditions:
                self.size += 1
                variables = self._of_tags if condition.device is None else self._of_device.setdefault(condition.device, {})
                variables.setdefault(condition.variable, []).append((one, condition))

    def concerned(self, device: str, sent: Sent) -> dict[str, Watch]:
        """Return the actions, by id, of which a condition matches a record of this device; whether it has their tags is not looked at."""
        named = self._of_device.get(device)
        if named is None and not self._of_tags:
            return {}
        found: dict[str, Watch] = {}
        for variable in sent.variables:
            for variables in (named, self._of_tags):
                for one, condition in (variables or {}).get(variable, ()):
                    if one.id not in found and sent.matches(condition):
                        found[one.id] = one
        return found


def evaluate(action: Watch, device: str, tags: Tags, sent: Sent, locked: bool) -> Outcome | None:
    """Say what the records of one request do to an action; None = nothing. locked: the action for this device, before."""
    locks = action.locks
    if locked and locks:  # a lock means nothing when no condition could free it
        return Outcome((), False) if any(map(sent.matches, _watching(action, True, device, tags))) else None
    fired_by = sent.matching(_watching(action, False, device, tags))
    return Outcome(tuple(fired_by), locks) if fired_by else None


def _watching(action: Watch, unlock: bool, device: str, tags: Tags) -> list[Condition]:
    """The conditions that are about this device."""
    return [
        condition
        for condition in action.conditions
        if condition.unlock is unlock and (condition.device == device if condition.tag is None else condition.tag in tags)
    ]
