"""Settings, messages and time of a session."""

from __future__ import annotations

from typing import Final

from services.sessions import refusals
from services.sessions.access import Seat
from services.sessions.items.rules import lists
from services.sessions.items.service.turns import Turn, Turns

DAY_MS: Final = 86_400_000
_LAST_MS: Final = 253_402_300_799_999  # end of the year 9999
Value = str | int | float | bool


class Playing:
    """What clients do with settings, messages and time. Thread-safe."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def allow_interaction(self, seat: Seat, allowed: bool) -> bool:
        """Pause the session, or let it go on. Raises Refusal 400 (or 404, 410)."""

        def work(turn: Turn) -> bool:
            text = "The session goes on." if allowed else "The session is paused."
            if _set(turn, lists.ALLOW_GAME_INTERACTION, allowed):
                turn.log("SETTINGS_ALLOW_GAME_INTERACTION", None, text)
            return True

        return self._turns.run(seat, work)

    def set(self, seat: Seat, key: str, value: Value) -> bool:
        """Give a setting a value; a new one is added. key: in any case. Raises Refusal 400 (or 404, 410), 409."""
        name = key.upper()
        if name == lists.ALLOW_GAME_INTERACTION and not isinstance(value, bool):
            raise refusals.invalid_request(f"{name} is true or false.")

        def work(turn: Turn) -> bool:
            if _set(turn, name, value):
                turn.log("SETTINGS_SET", None, f"The setting {name} is {_shown(value)} now.")
            return True

        return self._turns.run(seat, work)

    def send(self, seat: Seat, sender: int, receiver: int | None, text: str) -> int:
        """Send a message. receiver: None for all. Returns its id. Raises Refusal 400 (or 403), 404."""

        def work(turn: Turn) -> int:
            stakeholder = turn.stakeholder(sender)
            to = "all" if receiver is None else turn.item(lists.STAKEHOLDERS, receiver, "stakeholder").content["name"]
            message = turn.changes.add(lists.MESSAGES, {"from": sender, "to": receiver, "text": text, "timeMS": turn.now_ms})
            turn.changes.keep_newest(lists.MESSAGES, lists.MOST_MESSAGES)
            turn.log("MESSAGE_SEND", sender, f"{stakeholder.content['name']} sent a message to {to}.")
            return message.id

        return self._turns.run(seat, work)

    def remove_message(self, seat: Seat, message_id: int) -> bool:
        """Remove a message. Raises Refusal 400 (or 404, 410), 404."""

        def work(turn: Turn) -> bool:
            turn.changes.remove(turn.item(lists.MESSAGES, message_id, "message"))
            turn.log("MESSAGE_REMOVE", None, f"The message {message_id} was removed.")
            return True

        return self._turns.run(seat, work)

    def advance(self, seat: Seat, days: int) -> int:
        """Let time of the session pass. Returns the new time, milliseconds since 1970. Raises Refusal 400 (or 404, 410), 409."""

        def work(turn: Turn) -> int:
            turn.in_play()
            current = turn.item(lists.TIMES, lists.CURRENT, "time")
            moment: int = current.content["timeMS"] + days * DAY_MS
            if moment > _LAST_MS:
                raise refusals.conflict("Time ends with the year 9999.")
            turn.changes.change(current, {**current.content, "timeMS": moment})
            turn.log("TIME_ADVANCE", None, f"{days} {'day' if days == 1 else 'days'} passed.")
            return moment

        return self._turns.run(seat, work)


def _set(turn: Turn, name: str, value: Value) -> bool:
    """Give a setting a value. Returns whether it had another one."""
    known = turn.changes.all(lists.SETTINGS)
    found = next((one for one in known if one.content["name"] == name), None)
    if found is None:
        if len(known) >= lists.MOST_SETTINGS:
            raise refusals.conflict(f"This session has {lists.MOST_SETTINGS} settings, as many as may be.")
        turn.changes.add(lists.SETTINGS, {"name": name, "value": value})
        return True
    before = found.content["value"]
    if before == value and type(before) is type(value):
        return False
    turn.changes.change(found, {**found.content, "value": value})
    return True


def _shown(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)[:100]
