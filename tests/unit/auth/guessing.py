"""Log-ins with a wrong password and with the right one."""

from __future__ import annotations

from werkzeug.test import TestResponse

from tests.unit.auth.conftest import ADMIN, PASSWORD, Auth


def fail(auth: Auth, email: str = ADMIN, address: str = "198.51.100.7") -> int:
    """The status of a log-in with a wrong password."""
    return auth.ask("POST", "/login", {"email": email, "password": "a wrong password"}, address=address).status_code


def try_it(auth: Auth, address: str = "198.51.100.7", email: str = ADMIN) -> TestResponse:
    """The answer to a log-in with the right password."""
    return auth.ask("POST", "/login", {"email": email, "password": PASSWORD}, address=address)


def attack(auth: Auth, failures: int, email: str = ADMIN) -> None:
    """Wrong passwords for an account, each from an address of its own."""
    for n in range(failures):
        assert fail(auth, email, f"203.0.{n // 250}.{n % 250}") == 401
