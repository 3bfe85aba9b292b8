"""Before the first request: migrations, the first administrator, generated secrets, settings, the command line."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from click.testing import CliRunner, Result

from services.auth.app import build
from services.auth.cli import main
from services.auth.models import db
from services.auth.settings import Settings, parse_service_clients
from services.common import openapi
from services.common import settings as common
from services.common.addresses import parse_networks
from services.common.clock import SettableClock
from services.common.database import Database
from services.common.migrations import migrate
from services.common.proxies import TrustedProxies
from tests.support.stores import Prepare
from tests.support.waiting import wait_until
from tests.unit.auth.conftest import ADMIN, PASSWORD, Auth, settings_for


@pytest.fixture(scope="session")
def prepare_database() -> Prepare | None:
    """What a start makes of an empty database is looked at."""
    return None


def started(url: str, folder: Path, **changes: Any) -> Auth:
    clock = SettableClock()
    app = build(settings_for(url, folder, **changes), clock)
    app.extensions["auth"].start()
    return Auth(app, clock)


def test_the_migrations_make_what_the_models_say(database_url: str) -> None:
    migrate("auth", database_url)
    database = Database(db, database_url)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, db.metadata) == []
    database.dispose()


def test_the_first_administrator_with_a_generated_password(database_url: str, tmp_path: Path) -> None:
    migrate("auth", database_url)
    auth = started(database_url, tmp_path, admin_password=None)
    file = tmp_path / "auth" / "admin.password"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "auth" / "master.key").stat().st_mode) == 0o600
    password = file.read_text().strip()
    assert len(password) == 24
    me = auth.ask("GET", "/me", basic=(ADMIN, password)).json
    assert (me["level"], me["domain"]) == ("SUPER_USER", "gatehouse")
    auth.parts.close()

    again = started(database_url, tmp_path, admin_password="another one of twelve")
    assert again.ask("GET", "/me", basic=(ADMIN, password)).status_code == 200
    assert again.ask("GET", "/users", basic=(ADMIN, password)).json["total"] == 1
    again.parts.close()


STARTS_WHEN_TOLD = """
import sys
from pathlib import Path
from tests.unit.auth.test_start import started
print("ready", flush=True)
sys.stdin.read()
started(sys.argv[1], Path(sys.argv[2]), admin_password=None).parts.close()
"""


@pytest.mark.slow
def test_processes_that_start_together_make_one_of_each(database_url: str, tmp_path: Path) -> None:
    migrate("auth", database_url)
    command = [sys.executable, "-c", STARTS_WHEN_TOLD, database_url, str(tmp_path)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    for process in processes:
        with process:
            assert process.wait(60) == 0
    auth = Auth(build(settings_for(database_url, tmp_path), SettableClock()), SettableClock())
    password = (tmp_path / "auth" / "admin.password").read_text().strip()
    token = auth.log_in(password=password)
    for path in ("/users", "/domains", "/clients", "/signing-keys"):
        assert auth.ask("GET", path, token=token).json["total"] == 1, path
    auth.parts.close()


def test_the_settings_rule_the_neighbours_secrets(database_url: str, tmp_path: Path) -> None:
    migrate("auth", database_url)
    first = started(database_url, tmp_path, service_clients=(("devices", "a" * 24),))
    second = started(database_url, tmp_path, service_clients=(("devices", "b" * 24),))
    body = {"username": ADMIN, "password": PASSWORD}
    assert second.ask("POST", "/verify/basic", body, basic=("devices", "a" * 24)).status_code == 401
    assert second.ask("POST", "/verify/basic", body, basic=("devices", "b" * 24)).status_code == 200
    for auth in (first, second):
        auth.parts.close()


def test_a_secret_is_changed_while_the_former_one_is_valid(database_url: str, tmp_path: Path) -> None:
    """Neighbours are told the new one after auth: the former is as good until it leaves auth's setting. So it is with a second auth."""
    migrate("auth", database_url)
    old, new = ("devices", "a" * 24), ("devices", "b" * 24)
    before = started(database_url, tmp_path, service_clients=(old,))
    both = started(database_url, tmp_path, service_clients=(new, old))
    body = {"username": ADMIN, "password": PASSWORD}
    for auth in (before, both):
        for secret in (old, new):
            assert auth.ask("POST", "/verify/basic", body, basic=secret).status_code == 200
        assert auth.ask("POST", "/verify/basic", body, basic=("devices", "c" * 24)).status_code == 401
    after = started(database_url, tmp_path, service_clients=(new,))
    assert after.ask("POST", "/verify/basic", body, basic=old).status_code == 401
    assert after.ask("POST", "/verify/basic", body, basic=new).status_code == 200
    for auth in (before, both, after):
        auth.parts.close()


def test_settings() -> None:
    environ = {"AUTH_SERVICE_CLIENTS": f"sessions={'a' * 24}, devices={'b' * 24}", "AUTH_ISSUER": "https://id.example.org"}
    found = common.load(Settings, "AUTH", environ)
    assert found.service_clients == (("sessions", "a" * 24), ("devices", "b" * 24))
    wrong = {
        "AUTH_SERVICE_CLIENTS": "sessions=tooshort",
        "AUTH_ISSUER": "https://id.example.org/",
        "AUTH_THREADS": "2",
        "AUTH_PORT": "1",
        "AUTH_URL": "auth:8101",
        "AUTH_MASTER_KEY": "tooshort",
        "AUTH_ADMIN_PASSWORD": "tooshort",
        "AUTH_ADMIN_EMAIL": "nobody",
    }
    with pytest.raises(common.SettingsError) as refused:
        common.load(Settings, "AUTH", wrong)
    assert len(refused.value.mistakes) == 8
    assert "tooshort" not in str(refused.value)


def test_the_settings_table_of_the_documentation() -> None:
    assert common.markdown(Settings, "AUTH") in (openapi.snapshot("auth").parent / "README.md").read_text()


def test_threads_are_left_for_other_requests() -> None:
    settings = Settings(threads=16, hashers=2, hash_queue=900)
    assert (settings.hash_slots, settings.hash_waiting) == (2, 6)
    assert Settings().hash_slots >= 1


@pytest.mark.parametrize("text", ["Sessions=" + "a" * 24, "=" + "a" * 24, "x", f"x={'a' * 24},x={'b' * 24},x={'c' * 24}"])
def test_wrong_service_clients(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|names") as refused:
        parse_service_clients(text)
    assert "aaaa" not in str(refused.value)


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("127.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "6.6.6.6, 127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "6.6.6.6, 192.0.2.9, 10.0.0.1", "192.0.2.9"),
        ("127.0.0.1", "6.6.6.6, 10.0.0.1, 10.0.0.1", "6.6.6.6"),
        ("127.0.0.1", "6.6.6.6, 203.0.113.7", "203.0.113.7"),
        ("::1", "2001:db8::1", "2001:db8::1"),
        ("::ffff:127.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("203.0.113.9", "1.2.3.4", "203.0.113.9"),
        ("", "1.2.3.4", ""),
    ],
)
def test_the_clients_address(peer: str, forwarded: str, seen: str) -> None:
    environ: dict[str, Any] = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}
    before_the_gateway = parse_networks("10.0.0.0/8")
    TrustedProxies(lambda environ, start: [], Settings().trusted_proxies, before_the_gateway)(environ, None)
    assert environ["REMOTE_ADDR"] == seen


# the command line


def run(database_url: str, folder: Path, *arguments: str, stdin: str | None = None) -> Result:
    env = {
        "AUTH_DATABASE_URL": database_url,
        "AUTH_DATA": str(folder / "auth"),
        "AUTH_ARGON2_MEMORY_KIB": "8192",
        "AUTH_ARGON2_PASSES": "1",
    }
    return CliRunner().invoke(main, list(arguments), env=env, input=stdin)


def test_it_is_not_ready_before_it_has_started(database_url: str, tmp_path: Path) -> None:
    """As when the database was away: the start comes later, in the housekeeping."""
    migrate("auth", database_url)
    app = build(settings_for(database_url, tmp_path))
    parts, client = app.extensions["auth"], app.test_client()
    answer = client.get("/ready")
    assert (answer.status_code, answer.json["checks"]["start"]) == (503, "starting")
    parts.start()
    assert client.get("/ready").json["status"] == "ready"
    parts.close()


@pytest.mark.slow
def test_what_keeps_it_from_starting_later_is_said(sqlite_url: str, tmp_path: Path) -> None:
    migrate("auth", sqlite_url)
    started(sqlite_url, tmp_path).parts.close()
    app = build(settings_for(sqlite_url, tmp_path), key="another master key of 32 letters.")
    parts = app.extensions["auth"]
    thread = parts.start_housekeeping()
    said = "signing key cannot be opened with this master key"
    wait_until(lambda: app.test_client().get("/ready").json["checks"]["start"] == said)
    parts.close()
    thread.join(30)


@pytest.mark.slow
def test_the_command_line(database_url: str, tmp_path: Path) -> None:
    migrate("auth", database_url)
    assert run(database_url, tmp_path, "create-admin", "root@example.org", "--password", "-", stdin=PASSWORD + "\n").exit_code == 0
    assert run(database_url, tmp_path, "add-domain", "lab").exit_code == 0
    added = run(database_url, tmp_path, "add-user", "ada@example.org", "--domain", "lab", "--level", "EDITOR")
    made = added.output.rpartition("password ")[2].strip()
    issued = run(database_url, tmp_path, "role-token", "generator", "--expires-in", "3600", "--label", "Printer")
    token = issued.stdout.strip()
    kid = run(database_url, tmp_path, "rotate-keys", "--algorithm", "RS256").output.split()[1]
    new = run(database_url, tmp_path, "set-password", "ADA@example.org").output.rpartition("password ")[2].strip()

    app = build(settings_for(database_url, tmp_path))
    app.extensions["auth"].start()
    auth = Auth(app, SettableClock())
    assert auth.ask("GET", "/me", basic=("root@example.org", PASSWORD)).json["level"] == "SUPER_USER"
    assert auth.ask("GET", "/me", basic=("ada@example.org", made)).status_code == 401
    assert auth.ask("GET", "/me", basic=("ada@example.org", new)).json["domain"] == "lab"
    assert auth.verify(token).json["label"] == "Printer"
    assert auth.ask("GET", "/.well-known/jwks.json").json["keys"][0]["kid"] == kid
    assert auth.ask("GET", "/users", basic=("root@example.org", PASSWORD)).json["total"] == 2
    auth.parts.close()


def test_the_command_line_says_what_is_wrong_in_a_line(sqlite_url: str, tmp_path: Path) -> None:
    migrate("auth", sqlite_url)
    run(sqlite_url, tmp_path, "create-admin", "root@example.org")
    wrong = "some fields are not valid: "
    for arguments, said in [
        (("create-admin", "ROOT@example.org"), "e-mail taken"),
        (("add-user", "x@example.org", "--domain", "nowhere"), wrong + "domain: No such domain."),
        (("add-user", "x@example.org", "--password", "short"), wrong + "password: Shorter than 12 characters."),
        (("add-user", "x@example.org", "--name", "n" * 201), wrong + "full_name: Longer than maximum length 200."),
        (("set-password", "nobody@example.org"), "there is no user nobody@example.org; add-user makes one"),
        (("add-domain", "bad name"), wrong + "name: Letters, digits and . _ - only."),
        (
            ("add-domain", "lab", "--login-key-lifetime", "5"),
            wrong + "login_key_lifetime_s: Between 10 minutes (600) and 1 month (2678400 seconds).",
        ),
        (("role-token", "admin", "--label", "a\nb"), wrong + "label: Holds a character that cannot be shown."),
        (
            ("role-token", "admin", "--expires-in", "40000d"),
            wrong + "expires_in: Must be greater than or equal to 1 and less than or equal to 3162240000.",
        ),
    ]:
        answer = run(sqlite_url, tmp_path, *arguments)
        assert (answer.exit_code, answer.output) == (1, f"Error: {said}\n")


def test_an_outage_of_the_database_is_503(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate("auth", database_url)
    auth = started(database_url, tmp_path)
    admin = auth.log_in()

    def away(*_: object) -> None:
        raise sa.exc.OperationalError("SELECT", {}, Exception("connection refused"))

    with monkeypatch.context() as patch:
        patch.setattr(auth.parts.database, "read", away)
        patch.setattr(auth.parts.lookups, "one", away)
        for method, path, body in [("GET", "/me", None), ("POST", "/login", {"email": ADMIN, "password": PASSWORD})]:
            answer = auth.ask(method, path, body, token=admin)
            assert (answer.status_code, answer.json["code"]) == (503, "database-unavailable")
        assert auth.verify(admin).status_code == 503
    auth.parts.close()
