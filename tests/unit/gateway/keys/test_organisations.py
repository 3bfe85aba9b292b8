"""The sessions of organisations in memory, and the copy that stands in for an absent database."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from services.common.core_database import CoreDatabase
from services.gateway.keys.organisations import Organisations
from services.gateway.stores.organisation_copy import OrganisationCopy

OFF = {"org_id": "off", "is_inactive": True}


class Store:
    """number: the generation, None = the database is away."""

    def __init__(self, **sessions: dict[str, Any]) -> None:
        self.number: int | None = 1
        self.sessions = sessions

    def generation(self) -> int:
        if self.number is None:
            raise OperationalError("SELECT 1", {}, Exception("no answer"))
        return self.number

    def all(self) -> tuple[int, dict[str, dict[str, Any]]]:
        return self.generation(), self.sessions


@pytest.fixture
def copy(tmp_path: Path) -> OrganisationCopy:
    return OrganisationCopy(CoreDatabase(f"sqlite:///{tmp_path}/gateway.db"), tmp_path / "elsewhere")


def started_without_its_database(copy: OrganisationCopy) -> Organisations:
    store = Store()
    store.number = None
    organisations = Organisations(store, copy)
    with pytest.raises(OperationalError):
        organisations.look()
    organisations.stand_in()
    return organisations


def is_off(organisations: Organisations) -> bool:
    found = organisations.find("off")
    return found is not None and found.is_inactive


def test_one_that_is_switched_off_stays_so_when_the_database_is_away_at_the_start(copy: OrganisationCopy, tmp_path: Path) -> None:
    store = Store(off=OFF)
    before = Organisations(store, copy)
    before.look()
    assert is_off(before)
    file = tmp_path / "gateway.db.organisations"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert is_off(started_without_its_database(copy))

    written = file.stat().st_mtime_ns
    store.number = 2
    before.look()
    assert file.stat().st_mtime_ns == written, "it says the same"
    store.number, store.sessions = 3, {}
    before.look()
    assert not is_off(started_without_its_database(copy))


def test_what_was_read_outranks_the_copy(copy: OrganisationCopy) -> None:
    Organisations(Store(off=OFF), copy).look()
    organisations = Organisations(Store(), copy)
    organisations.look()
    copy.write({"off": OFF})
    organisations.stand_in()
    assert not is_off(organisations)


@pytest.mark.parametrize(
    "damage", [lambda text: text.replace("true", "false"), lambda text: text[:-9], lambda text: "", lambda text: "\xff" + text]
)
def test_a_damaged_copy_is_refused_and_written_again(copy: OrganisationCopy, damage: Callable[[str], str], tmp_path: Path) -> None:
    before = Organisations(Store(off=OFF), copy)
    before.look()
    file = tmp_path / "gateway.db.organisations"
    whole = file.read_text()
    file.write_text(damage(whole), encoding="latin-1")
    assert not is_off(started_without_its_database(copy))
    Organisations(Store(off=OFF), copy).look()
    assert file.read_text() == whole


def test_a_copy_of_another_database_is_refused(tmp_path: Path) -> None:
    def copy_of(name: str) -> OrganisationCopy:
        return OrganisationCopy(CoreDatabase(f"postgresql://u:p@127.0.0.1:1/{name}"), tmp_path)

    copy_of("a").write({"off": OFF})
    assert copy_of("a").read() == {"off": OFF}
    with pytest.raises(ValueError, match="another database"):
        copy_of("b").read()


def test_a_copy_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "gateway.db.organisations").mkdir()
    organisations = Organisations(Store(off=OFF), OrganisationCopy(CoreDatabase(f"sqlite:///{tmp_path}/gateway.db"), tmp_path))
    organisations.look()
    assert is_off(organisations)
