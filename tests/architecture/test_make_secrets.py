"""deploy/make-secrets: what it writes, twice, two at once, and where something is in its way."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path

import psycopg
import pytest

from services.common.core_database import normalise
from services.gateway.counters.resp import Address

SCRIPT = Path(__file__).resolve().parents[2] / "deploy/make-secrets"
SERVICES = ("gateway", "auth", "sessions", "tokens", "devices", "mobility")


def make(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", str(SCRIPT), str(folder)], capture_output=True, text=True, env={**os.environ, **environment}, check=False)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def check_whole(folder: Path) -> None:
    """Nothing is empty, nothing is left over, and the derived ones are of their bases."""
    found = contents(folder)
    assert [name for name, text in found.items() if not text or name.startswith(".")] == []
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o444}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for service in SERVICES:
        url = psycopg.conninfo.conninfo_to_dict(found[f"{service}_database_url"])
        assert (url["user"], url["password"], url["dbname"]) == (service, found[f"{service}_database_password"], service)
    for client in found["service_clients"].split(", "):
        name, _, secret = client.partition("=")
        assert secret == found[f"{name}_auth_secret"]


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    assert make(folder).returncode == 0
    check_whole(folder)
    assert all(re.fullmatch("[0-9a-f]{64}", text) for name, text in contents(folder).items() if name.endswith(("key", "word", "secret")))
    before = contents(folder)
    assert "nothing to do" in make(folder).stdout
    assert contents(folder) == before


def test_two_at_once_write_one_house(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    runs = [subprocess.Popen(["sh", str(SCRIPT), str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    said = [(run.communicate(timeout=60)[1], run.returncode) for run in runs]
    assert said == [(b"", 0)] * 4
    check_whole(folder)


def test_a_run_that_was_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    """It has left a draft, and a list that is not of the secrets that are there by now."""
    folder = tmp_path / "secrets"
    make(folder)
    (folder / "auth_database_password").unlink()
    (folder / "valkey_password").unlink()
    (folder / "valkey_password").touch(0o444)
    draft = folder / ".auth_database_password.new"
    draft.touch(0o444)
    assert make(folder).returncode == 0
    draft.unlink()
    check_whole(folder)


def test_passwords_of_others_may_have_any_characters(tmp_path: Path) -> None:
    """Those of a managed store, which nobody chooses."""
    folder = tmp_path / "secrets"
    folder.mkdir(0o700)
    password = "p@ss/w#rd%41:é ?"
    for name in ("postgres_password", "valkey_password", "auth_database_password"):
        (folder / name).write_text(f"{password}\n")
    assert make(folder, POSTGRES_HOST="db.example", VALKEY_HOST="valkey.example").returncode == 0
    found = contents(folder)
    for name, database in (("postgres_admin_url", "postgres"), ("auth_database_url", "auth")):
        url = psycopg.conninfo.conninfo_to_dict(found[name])
        assert (url["password"], url["host"], url["dbname"]) == (password, "db.example", database)
        assert normalise(found[name]).password == password
    address = Address.from_url(found["valkey_url"])
    assert (address.password, address.host) == (password, "valkey.example")


def test_other_folders_stay_as_they_are(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "work.txt").write_text("mine")
    refused = make(tmp_path)
    assert (refused.returncode, refused.stderr) == (
        1,
        f"make-secrets: {tmp_path} is open to others and holds other things; name another folder\n",
    )
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert contents(tmp_path) == {"work.txt": "mine"}
    empty = tmp_path / "secrets"
    empty.mkdir()
    empty.chmod(0o755)
    assert make(empty).returncode == 0
    check_whole(empty)
    empty.chmod(0o755)  # one of an earlier run is closed again
    assert make(empty).returncode == 0
    check_whole(empty)


@pytest.fixture
def without_od(tmp_path: Path) -> Path:
    """A folder of programs, in which one does nothing."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "od").write_text("#!/bin/sh\n")
    (programs / "od").chmod(0o755)
    return programs


def test_no_secret_is_empty_or_short(tmp_path: Path, without_od: Path) -> None:
    folder = tmp_path / "secrets"
    failed = make(folder, PATH=f"{without_od}:{os.environ['PATH']}")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "did not read 32 bytes" in failed.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["operator_key", "auth_database_url"])
def test_a_folder_in_the_place_of_a_secret_is_told(tmp_path: Path, name: str) -> None:
    """docker-compose 1.29 creates one where a file is missing."""
    (tmp_path / "secrets").mkdir(0o700)
    (tmp_path / "secrets" / name).mkdir()
    failed = make(tmp_path / "secrets")
    assert failed.returncode == 1
    assert f"secrets/{name} is a folder" in failed.stderr
    assert list((tmp_path / "secrets" / name).iterdir()) == []
