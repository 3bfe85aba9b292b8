"""The runbooks' commands for containers: a backup of an older version is restored into a new house, which migrates it; passwords change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.house import ADMIN, House, house_of_its_own
from tests.compose.limits import limited
from tests.compose.people import People, Web, ok
from tests.support.runbooks import blocks

# The migration that the backup of a service is at; the others are backed up as they are.
OLDER = {"auth": "0001", "devices": "0002", "gateway": "0006", "tokens": "0001"}
MIGRATES = """
import sys
from alembic import command
from alembic.config import Config
from services.common.core_database import create_engine, normalise
service, revision, database = sys.argv[1:]
url = normalise(open(f"/run/secrets/{service}_database_url").read().strip()).set(database=database)
configuration = Config()
configuration.set_main_option("script_location", f"services/{service}/migrations")
with create_engine(url.render_as_string(hide_password=False)).begin() as connection:
    configuration.attributes["connection"] = connection
    command.upgrade(configuration, revision)
"""
COLUMNS = """
SELECT table_name, string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position)
FROM information_schema.columns JOIN pg_class ON oid = format('%I.%I', table_schema, table_name)::regclass
WHERE table_schema = 'public' AND relkind IN ('r', 'p') AND NOT relispartition
  AND table_name <> 'alembic_version' AND is_generated = 'NEVER'
GROUP BY table_name
"""
SEQUENCES = "SELECT format('SELECT setval(%L, %s);', sequencename, last_value) FROM pg_sequences WHERE last_value IS NOT NULL"
REVISION = "SELECT version_num FROM alembic_version"


def run(house: House, heading: str, number: int = 1, kind: str = "compose", **env: str) -> str:
    """Run a block of docs/runbooks.md in the house's folder, as an operator does."""
    [block] = [one for one in blocks() if one[:3] == (heading, kind, number)]
    return house.run(["bash", "-euo", "pipefail", "-c", block.text], **env)


def columns(house: House, database: str) -> dict[str, list[str]]:
    """The columns of each table."""
    rows = (line.split("|") for line in house.sql(database, COLUMNS).splitlines())
    return {table: names.split(", ") for table, names in rows}


def make_older(house: House, service: str, revision: str) -> str:
    """Make a database as an older version had it, with the rows of today's; return its name."""
    older = f"older_{service}"
    house.sql("postgres", f"CREATE DATABASE {older} OWNER {service}")
    house.exec(service, "python", "-c", MIGRATES, service, revision, older)
    new, old = columns(house, service), columns(house, older)
    script = ["set -e"]
    for table in sorted(old.keys() & new.keys()):
        names = ", ".join(name for name in old[table] if name in new[table])
        copied = f"SET session_replication_role = replica; DELETE FROM {table}; COPY {table} ({names}) FROM STDIN"
        source = f"psql -qX -U postgres -d {service} -c 'COPY (SELECT {names} FROM {table}) TO STDOUT'"
        script.append(
            f"{source} | psql -qX -v ON_ERROR_STOP=1 -U postgres -d {older} " + " ".join(f"-c '{one}'" for one in copied.split("; "))
        )
    house.exec("postgres", "sh", text="\n".join(script))
    known = set(house.sql(older, "SELECT sequencename FROM pg_sequences").split())
    house.sql(older, "\n".join(line for line in house.sql(service, SEQUENCES).splitlines() if line.split("'")[1] in known))
    return older


@pytest.fixture
def backup(house: House, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables of the page: a folder for copies of the databases, one for secrets."""
    yield {"BACKUP": str(tmp_path / "backup"), "SECRETS": str(tmp_path / "secrets"), "PATH": house.env["PATH"]}
    for service in OLDER:
        house.sql("postgres", f"DROP DATABASE IF EXISTS older_{service}")


def test_an_older_backup_is_restored_and_migrated(house: House, people: People, backup: dict[str, str]) -> None:
    device, generator = people.device(), people.role("generator")
    for number in range(20):
        ok(device.send(people.web, number))
    token = people.archive(generator, "kept")
    email, password = people.user("EDITOR")
    with limited(house, "--quota", "10", "--quota-renewal", "1h") as api:
        assert api.remaining() == 9
        run(house, "PostgreSQL", **backup)
        run(house, "PostgreSQL", 2, **backup)
        for service, revision in OLDER.items():
            dump = ["pg_dump", "-U", "postgres", "--format=custom", "--file=/tmp/older", make_older(house, service, revision)]
            house.exec("postgres", *dump)
            house.run(["docker", "cp", f"{house.container('postgres').id}:/tmp/older", f"{backup['BACKUP']}/{service}.dump"])
        newest = {service: house.sql(service, REVISION) for service in OLDER}

        with house_of_its_own() as restored:
            restored.env["GATEHOUSE_URL"] = house.env["GATEHOUSE_URL"]  # clients find it where it was
            run(restored, "Everything, on a new machine", **{**backup, "PATH": restored.env["PATH"]})
            assert {service: restored.sql(service, REVISION) for service in OLDER} == OLDER
            restored.up()
            assert {service: restored.sql(service, REVISION) for service in OLDER} == newest
            url, web = restored.url, Web()
            for name, word in ((ADMIN, house.secrets()["auth_admin_password"]), (email, password)):
                ok(web.post(f"{url}/auth/login", json={"email": name, "password": word}))
            again = type(device)(f"{url}/devices", device.token)
            assert again.values() == list(range(20))
            ok(again.send(web, 20))
            assert ok(web.get(f"{url}/tokens/token", params={"id": token}))["keywords"][0] == "kept"
            assert People(restored).archive(generator, "new")  # a role token that was issued before
            answer = web.get(f"{url}{api.path}", headers={"authorization": api.key})
            assert (answer.status_code, answer.headers["X-RateLimit-Remaining"]) == (200, "9")  # a new Valkey counts from the beginning
            assert web.get(f"{url}/mobility/n46419880").status_code == 200


def test_a_database_password_is_changed(house: House, people: People) -> None:
    former = house.secrets()["tokens_database_url"]
    run(house, "Database passwords", kind="files", SECRETS=str(house.home / "secrets"), SERVICE="tokens")
    run(house, "Database passwords")
    assert house.secrets()["tokens_database_url"] != former
    with pytest.raises(AssertionError, match="password authentication failed"):
        house.exec("tokens", "python", "-c", "import psycopg, sys; psycopg.connect(sys.argv[1])", former)
    house.run(["deploy/roll", "tokens"])
    assert people.archive(people.role("generator"), "after")


def test_valkeys_password_is_changed(house: House) -> None:
    with limited(house, "--quota", "100", "--quota-renewal", "1h", "--rate", "1000", "--per", "1") as api:
        assert api.remaining() == 99
        former = house.secrets()["valkey_password"]
        run(house, "Valkey's password")
        house.wait_healthy()
        assert house.container("valkey").attrs["State"]["Health"]["FailingStreak"] == 0
        assert house.secrets()["valkey_password"] != former
        answer = house.run(["docker", "exec", "-e", f"REDISCLI_AUTH={former}", house.container("valkey").id, "valkey-cli", "ping"])
        assert "PONG" not in answer
        assert api.remaining() == 98
