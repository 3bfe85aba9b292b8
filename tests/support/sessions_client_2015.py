"""A client of the sessions API as those of 2015 were: their addresses, headers and bodies, and the shapes that they read.

It is written from what is known of them, not from the service. It is strict: an answer of another shape is a failure.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import requests

_JSON: Final = {"Content-Type": "application/json", "Accept": "application/json"}
_SESSION: Final = {"id": int, "name": str, "language": str, "sessionType": str}
_NULL: Final = {"tokenPair", "appType"}  # unless a session is continued
_JOINED: Final = {"client": dict, "serverToken": str, "platform": str, "sessionType": str, "project": str, "languague": str, "lists": list}
_CLIENT: Final = {
    "address": str, "computerName": str, "fullName": str, "userName": str, "subscription": str, "clientToken": str, "lastSeen": int,
    "updated": bool, "connectionState": str, "serverEventCounter": int,
}  # fmt: skip


class Refused(Exception):
    """The server said no. status: its number. text: what a person is shown."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text


def checked(value: Any, shape: Mapping[str, type]) -> Any:
    """Return an object that has these members, of these types."""
    assert isinstance(value, dict), value
    for name, kind in shape.items():
        assert type(value.get(name)) is kind, (name, value)
    return value


class Connection:
    """Requests of one person's program."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url.rstrip("/")
        self._basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._connection = requests.Session()
        self._connection.trust_env = False

    def ask(self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None, timeout: float = 30) -> Any:
        """Send a request, and return what the answer holds: a bare JSON value, or None when there is nothing new. Raises Refused."""
        sent = _JSON | (headers or {"Authorization": f"Basic {self._basic}"})
        answer = self._connection.request(method, f"{self.url}/api/{path}?f=JSON", data=body, headers=sent, timeout=timeout)
        if answer.status_code == 204:
            assert not answer.content
            return None
        if answer.status_code != 200:
            assert answer.headers["Content-Type"].startswith("text/plain"), answer.headers
            raise Refused(answer.status_code, answer.text)
        assert answer.headers["Content-Type"].startswith("application/json"), answer.headers
        return answer.json()

    def event(self, name: str, body: str = "", group: str = "IOServicesEventType") -> Any:
        """Fire an event at the root. body: JSON as text; empty for an event without values."""
        return self.ask("POST", f"services/event/{group}/{name}/", body)

    def start(self, body: str) -> int:
        """Start a session; return its slot."""
        found = self.event("START_NEW_SESSION", body)
        assert isinstance(found, int) and found >= 0, found
        return found

    def joinable(self) -> list[dict[str, Any]]:
        """Return the sessions that may be joined."""
        found = self.event("GET_JOINABLE_SESSIONS")
        assert isinstance(found, list)
        for one in found:
            checked(one, dict(_SESSION))
            assert one["groupToken"] is None or isinstance(one["groupToken"], str)
            assert {name: one[name] for name in _NULL} == dict.fromkeys(_NULL)
        return found

    def join(self, slot: int, app_type: str = "VIEWER", computer: str = "agent", client_token: str = "") -> Joined:
        """Join a session, or be the client again whose token is given."""
        found = checked(self.event("JOIN_SESSION", f'[{slot},"{app_type}","","{computer}","{client_token}"]'), _JOINED)
        client = checked(found["client"], _CLIENT)
        assert client["computerName"] == computer
        assert all(isinstance(name, str) for name in found["lists"])
        return Joined(self, slot, found["serverToken"], client["clientToken"], found)

    def close(self, slot: int, client_token: str, keep_open: bool = False) -> bool:
        """Leave a session; say whether it has ended."""
        return self._boolean(self.event("CLOSE_SESSION", f'[{slot},"{client_token}",{str(keep_open).lower()}]'))

    def kill(self, slot: int) -> bool:
        """End a session at once."""
        return self._boolean(self.event("KILL_SESSION", f"[{slot}]"))

    @staticmethod
    def _boolean(found: Any) -> bool:
        assert isinstance(found, bool), found
        return found


@dataclass(frozen=True)
class Joined:
    """A client that has joined. reply: to the join."""

    connection: Connection
    slot: int
    server_token: str
    client_token: str
    reply: dict[str, Any]

    def ask(self, method: str, path: str, body: str | None = None, timeout: float = 30) -> Any:
        """Send a request to the slot, with both tokens and without Basic."""
        headers = {"serverToken": self.server_token, "clientToken": self.client_token}
        return self.connection.ask(method, f"slots/{self.slot}/{path}", body, headers, timeout)

    def items(self, name: str) -> list[dict[str, Any]]:
        """Return the items of a list."""
        found = self.ask("GET", f"lists/{name}")
        assert isinstance(found, list)
        return [checked(one, {"id": int, "version": int}) for one in found]

    def item(self, name: str, number: int) -> dict[str, Any]:
        """Return one item."""
        found: dict[str, Any] = checked(self.ask("GET", f"lists/{name}/{number}"), {"id": int, "version": int})
        assert found["id"] == number
        return found

    def size(self, name: str) -> int:
        """Return how many items a list has."""
        found = self.ask("GET", f"lists/{name}/size")
        assert isinstance(found, int), found
        return found

    def location(self) -> dict[str, Any]:
        """Return size and place of the map."""
        found = self.ask("GET", "location/")
        assert isinstance(found, dict)
        return found

    def event(self, name: str, body: str, group: str = "PlayerEventType") -> Any:
        """Fire an event of a player."""
        return self.ask("POST", f"event/{group}/{name}", body)

    def select(self, stakeholder: int) -> bool:
        """Take a stakeholder; say whether that is ours now."""
        return Connection._boolean(self.event("STAKEHOLDER_SELECT", f'[{stakeholder},"{self.client_token}"]'))

    def update(self, known: str) -> Update | None:
        """Wait for what is newer than these versions; None when nothing came. Raises Refused, with CLIENT_RELEASED when it is over."""
        found = self.ask("POST", "update/", known, timeout=60)
        if found is None:
            return None
        return read_update(found)


@dataclass(frozen=True)
class Update:
    """items, deletes: by the names of the lists that changed. moment: milliseconds since 1970."""

    items: dict[str, list[dict[str, Any]]]
    deletes: dict[str, list[dict[str, Any]]]
    moment: int

    def newest(self, name: str) -> int:
        """Return the highest version that a list has in it."""
        versions: list[int] = [one["version"] for part in (self.items, self.deletes) for one in part.get(name, [])]
        return max(versions)


def read_update(found: Any) -> Update:
    """Read the answer to a poll. Both generations read what is gone as items, too."""
    checked(found, {"items": dict, "deletes": dict, "timeStamp": int})
    for part in (found["items"], found["deletes"]):
        for items in part.values():
            for one in items:
                checked(one, {"id": int, "version": int})
    return Update(found["items"], found["deletes"], found["timeStamp"])
