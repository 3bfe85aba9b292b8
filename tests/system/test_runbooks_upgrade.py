"""An upgrade and the way back, by the commands of docs/runbooks.md: the older process serves until it is replaced."""

from __future__ import annotations

from pathlib import Path

import requests

from tests.support.given_out import Auth, ask
from tests.support.installation import Installation, installation, newer
from tests.support.runbooks import run


def serves(house: Installation, email: str) -> None:
    """Auth writes and reads, and is ready."""
    bearer = f"Bearer {Auth(house).access}"
    user = {"email": email, "password": "correct horse battery", "domain": "gatehouse"}
    assert ask("POST", f"{house.url}/auth/users", user, authorization=bearer).status_code == 201
    assert requests.get(f"{house.straight('auth')}/ready", timeout=30).json()["checks"]["database"] == "ok"


def users(house: Installation) -> set[str]:
    found = ask("GET", f"{house.url}/auth/users", authorization=f"Bearer {Auth(house).access}").json()
    return {one["email"] for one in found["items"]}


def test_there_and_back(tmp_path: Path) -> None:
    (tmp_path / "newer").mkdir()
    version = newer(tmp_path / "newer", "auth")
    with installation(tmp_path / "var", ("auth",)) as house:
        house.start()
        serves(house, "before@example.org")
        page = house.page(BACKUP=str(tmp_path / "copies"), NEW=str(version), SERVICE="auth")
        page["AUTH_DATABASE_URL"] = f"sqlite:///{house.data}/auth/auth.db"
        house.migrate("sessions", "tokens", "devices", "mobility")
        run("SQLite", "sqlite", env=page)

        run("Upgrade", "sqlite", env=page)
        serves(house, "meanwhile@example.org")
        house.stop("auth")
        house.start("auth", tree=version)
        serves(house, "after@example.org")
        assert {"before@example.org", "meanwhile@example.org", "after@example.org"} <= users(house)

        house.stop("auth")
        said = house.refused("auth")
        assert "a newer version of Gatehouse has used this database: it is at migration 0004, this code at 0003" in said
        run("One service", "sqlite", env=page)
        house.start("auth")
        serves(house, "again@example.org")
        assert {one for one in users(house) if one.endswith("example.org")} == {"before@example.org", "again@example.org"}
