"""A client of the sessions API as today's are: short addresses, a client token of its own making, the session token in the query.

It is written from what is known of them, not from the service. It is strict: an answer of another shape is a failure.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import requests

from tests.support.sessions_client_2015 import Refused, Update, checked, read_update

RELEASED: Final = "495"
ENDED: Final = "497"
_LISTED: Final = {"id": int, "name": str, "language": str, "sessionType": str, "detailed": bool, "mapSizeM": list, "timeoutMS": int}
_JOINED: Final = {"client": dict, "apiToken": str, "sessionType": str, "project": str, "language": str, "lists": list}


class RefusedToday(Refused):
    """detail: the original server's own number."""

    def __init__(self, status: int, text: str, detail: str | None) -> None:
        super().__init__(status, text)
        self.detail = detail


class Connection:
    """Requests of one person's program."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url.rstrip("/")
        self.client_token = uuid.uuid4().hex
        self.auth = (user, password)

    def ask(
        self, method: str, path: str, body: Any = None, *, query: Mapping[str, str] | None = None, in_session: bool = False, **headers: str
    ) -> Any:
        """Send a request, and return the bare value of the answer; None when there is nothing new. Raises RefusedToday."""
        with requests.Session() as connection:
            connection.trust_env = False
            answer = connection.request(
                method,
                f"{self.url}/api/{path}",
                params={"f": "JSON", **(query or {})},
                data=None if method == "GET" else json.dumps([] if body is None else body),
                headers={"Content-Type": "application/json", "Accept": "application/json", **headers},
                auth=None if in_session else self.auth,
                timeout=60,
            )
        if answer.status_code == 204:
            return None
        if answer.status_code != 200:
            assert answer.headers["Content-Type"].startswith("text/plain"), answer.headers
            raise RefusedToday(answer.status_code, answer.text, answer.headers.get("X-Status-Detail"))
        assert answer.headers["Content-Type"].startswith(("application/json", "application/geo+json")), answer.headers
        return answer.json()

    def io(self, name: str, *values: Any) -> Any:
        """Fire an event at the root."""
        return self.ask("POST", f"event/io/{name}", list(values))

    def user(self, name: str, *values: Any) -> Any:
        """Fire an event of the user."""
        return self.ask("POST", f"event/user/{name}", list(values))

    def with_login_key(self) -> Connection:
        """Return a connection that sends the login key, never the password again."""
        key = self.user("get_my_login_key")
        assert isinstance(key, str) and key
        return Connection(self.url, self.auth[0], key)

    def start(self, project: str, session_type: str = "MULTI") -> int:
        """Start a session; return its id."""
        found = self.io("start", session_type, project, None, None, None)
        assert isinstance(found, int)
        return found

    def joinable(self) -> dict[int, dict[str, Any]]:
        """Return the sessions that may be joined, by their ids."""
        return {one["id"]: checked(one, _LISTED) for one in self.io("get_my_joinable_sessions")}

    def join(self, session: int, app_type: str = "PARTICIPANT") -> Joined:
        """Join a session under our own client token."""
        found = checked(self.io("join", session, app_type, "tool", self.client_token), _JOINED)
        assert found["client"]["clientToken"] == self.client_token
        token = found["apiToken"]
        assert len(token) == 32
        assert int(token[:8], 16) == session
        return Joined(self, session, token)

    def close(self, session: int, keep_open: bool = False) -> bool:
        """Leave a session; say whether it has ended."""
        found = self.io("close", session, self.client_token, keep_open)
        assert isinstance(found, bool)
        return found


@dataclass(frozen=True)
class Joined:
    """A client that has joined."""

    connection: Connection
    session: int
    token: str

    def ask(self, method: str, path: str, body: Any = None, *, client: bool = True, **query: str) -> Any:
        """Send a request in the session. client: say who we are."""
        headers = {"clientToken": self.connection.client_token} if client else {}
        return self.connection.ask(method, f"session/{path}", body, query={"token": self.token, **query}, in_session=True, **headers)

    def items(self, name: str) -> list[dict[str, Any]]:
        """Return the items of a list."""
        return [checked(one, {"id": int, "version": int}) for one in self.ask("GET", f"items/{name}/")]

    def number(self, name: str, what: str) -> int:
        """Return a list's `size` or `version`."""
        found = self.ask("GET", f"items/{name}/{what}/")
        assert isinstance(found, int)
        return found

    def event(self, name: str, *values: Any, group: str = "participant") -> Any:
        """Fire an event of a participant."""
        return self.ask("POST", f"event/{group}/{name}/", list(values))

    def select(self, stakeholder: int | None = None) -> int:
        """Take a stakeholder; return the one that was given."""
        found = self.event("stakeholder_select", stakeholder, self.connection.client_token, group="logic")
        assert isinstance(found, int)
        return found

    def update(self, known: Mapping[str, int], timeout: int = 20) -> Update | None:
        """Wait for what is newer than these versions; None when nothing came. Raises RefusedToday, with RELEASED when it is over."""
        found = self.ask("POST", "update/", dict(known), timeout=str(timeout))
        return None if found is None else read_update(found)
