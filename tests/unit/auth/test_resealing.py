"""The master key is rotated: JWTs stay valid, and the same key signs."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.auth import resealing
from services.auth.app import build
from services.common.clock import SettableClock
from services.common.resealing import Lost, Resealed
from tests.unit.auth.conftest import Auth, settings_for

OLD, NEW = "k" * 32, "n" * 32  # the first: that of the tests' databases


def test_a_rotation(auth: Auth, admin: str, database_url: str, tmp_path: Path, clock: SettableClock) -> None:
    auth.ask("POST", "/signing-keys/rotate", {}, token=admin)
    # alembic is not what made the tests' database
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("services.common.resealing.check_migrated", lambda service, database: None)
        both = settings_for(database_url, tmp_path, master_key=f"{NEW}\n{OLD}")
        with pytest.raises(Lost, match=r"signing_keys.sealed of "):
            resealing.run(settings_for(database_url, tmp_path, master_key=NEW), leave_lost=False)
        assert resealing.run(both, leave_lost=False) == Resealed(again=2)
    after = Auth(build(settings_for(database_url, tmp_path), clock, key=NEW), clock)
    after.parts.start()
    try:
        assert after.ask("GET", "/me", token=admin).status_code == 200
        assert auth.ask("GET", "/me", token=after.log_in()).status_code == 200
        assert len(after.ask("GET", "/signing-keys", token=admin).json["items"]) == 2
    finally:
        after.parts.close()
