"""Who uses the house, each with their own credentials: an administrator, visitors and generators, devices, players, owners of layers."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass
from typing import Any

import requests

from tests.compose.house import ADMIN, House

_numbers = itertools.count()
_SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><circle cx="5" cy="5" r="4"/></svg>'
DOMAIN = "town"


class Web(requests.Session):
    """HTTP without the machine's proxies, and never without a time limit."""

    def __init__(self, **headers: str) -> None:
        super().__init__()
        self.trust_env = False
        self.headers.update(headers)

    def request(self, method: str | bytes, url: str | bytes, *arguments: Any, **options: Any) -> requests.Response:  # type: ignore[override]
        options.setdefault("timeout", 75)
        return super().request(method, url, *arguments, **options)


def ok(answer: requests.Response) -> Any:
    """Return what a call answered, which must have succeeded."""
    assert answer.ok, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:500]}"
    return answer.json() if answer.content else None


@dataclass(frozen=True)
class Device:
    """A device with its own token. url: of the devices service, through a gateway or straight."""

    url: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Device-Token": self.token}

    def send(self, web: requests.Session, value: object, variable: str = "level") -> requests.Response:
        return web.post(f"{self.url}/data", json={"variable": variable, "value": value}, headers=self.headers)

    def values(self, variable: str = "level") -> list[Any]:
        """Return all values, the oldest first."""
        query = {"variables": variable, "qty": "10000", "ordination": "ascending"}
        return [one["value"] for one in ok(Web().get(f"{self.url}/data", params=query, headers=self.headers))["result"]]


class People:
    """Credentials of the house, issued by auth as they are asked for."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.web = Web()

    @property
    def url(self) -> str:
        """The address of a gateway."""
        return self.house.url

    def signed_in(self) -> dict[str, str]:
        """Return the headers of the administrator, who signs in now."""
        login = ok(self.web.post(f"{self.url}/auth/login", json={"email": ADMIN, "password": self.house.secrets()["auth_admin_password"]}))
        return {"Authorization": f"Bearer {login['access_token']}"}

    def role(self, subject: str) -> dict[str, str]:
        """Return the headers of a role of the tokens service."""
        issued = ok(self.web.post(f"{self.url}/auth/role-tokens", json={"subject": subject}, headers=self.signed_in()))
        return {"Authorization": f"Bearer {issued['token']}"}

    def account(self) -> dict[str, str]:
        """Return the headers of the administrator's programs."""
        body = {"kind": "account", "label": "laptop"}
        return {"Account-Token": ok(self.web.post(f"{self.url}/auth/me/tokens", json=body, headers=self.signed_in()))["secret"]}

    def device(self) -> Device:
        """Return a new device."""
        body = {"name": f"device {next(_numbers)}", "type": "mutable"}
        made = ok(self.web.post(f"{self.url}/devices/device", json=body, headers=self.account()))
        return Device(f"{self.url}/devices", made["result"]["token"])

    def user(self, level: str, **more: Any) -> tuple[str, str]:
        """Create a user of the domain; return e-mail address and password."""
        email, password = f"user-{secrets.token_hex(4)}@example.org", secrets.token_hex(8)
        headers = self.signed_in()
        domain = self.web.post(f"{self.url}/auth/domains", json={"name": DOMAIN}, headers=headers)
        assert domain.status_code in (201, 409), domain.text
        person = {"email": email, "full_name": "A person", "password": password, "domain": DOMAIN, "level": level, **more}
        ok(self.web.post(f"{self.url}/auth/users", json=person, headers=headers))
        return email, password

    def archive(self, generator: dict[str, str], word: str) -> str:
        """Archive a picture; return its id."""
        return str(ok(self.web.put(f"{self.url}/tokens/token", json=picture(word), headers=generator))["id"])


def picture(word: str) -> dict[str, Any]:
    """What a generator archives for these three words, one of which is chosen."""
    return {"svg": _SVG, "generated": "2026-05-01T00:00:00Z", "keywords": [word, "future", "water"]}
