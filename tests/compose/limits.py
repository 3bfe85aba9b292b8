"""APIs with keys whose limits are counted: made and removed by the operator's command line inside the container."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from tests.compose.house import House
from tests.compose.people import Web
from tests.support.gateway import definition


@dataclass(frozen=True)
class Limited:
    """An API in front of the health of the tokens service, and a key of it. path: of what the key opens."""

    house: House
    api: str
    key: str

    @property
    def path(self) -> str:
        return f"/{self.api}/health"

    def status(self) -> int:
        return self.web().get(f"{self.house.url}{self.path}").status_code

    def remaining(self) -> int:
        """Ask once; return what is then left of the quota."""
        answer = self.web().get(f"{self.house.url}{self.path}")
        assert answer.status_code == 200, answer.text
        return int(answer.headers["X-RateLimit-Remaining"])

    def web(self) -> Web:
        return Web(authorization=self.key)


@contextlib.contextmanager
def limited(house: House, *limits: str) -> Iterator[Limited]:
    """An API for the length of a block, with one key. limits: options of `keys create`."""
    name = f"limited-{secrets.token_hex(3)}"
    api = definition(name, "env://UPSTREAM_TOKENS/", use_keyless=False)
    house.gateway("definitions", "apply", "-", text=json.dumps(api))
    key = json.loads(house.gateway("keys", "create", "--api", name, *limits, "--json"))
    try:
        yield Limited(house, name, key["key_id"])
    finally:
        house.gateway("definitions", "delete", name)
