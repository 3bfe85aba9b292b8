"""A gateway that cannot be what its settings say does not start, and says why in a line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.support.gateway import gateway
from tests.support.processes import run_program
from tests.support.waiting import free_port

COMMAND = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.gateway.py", "services.gateway.wsgi:app"]


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"VALKEY_URL": "redis://user:hunter2@127.0.0.1:1/database"}, "VALKEY_URL cannot be used"),
        ({"VALKEY_URL": "redis://user:hunter2@127.0.0.1:99999"}, "VALKEY_URL"),
        ({"GATEWAY_OPERATOR_KEY_PATH": "{folder}/empty"}, "GATEWAY_OPERATOR_KEY_PATH"),
        ({"GATEWAY_OPERATOR_KEY_PATH": "{folder}/empty/below"}, "GATEWAY_OPERATOR_KEY_PATH"),
        ({"GATEWAY_WORKERS": "2"}, "VALKEY_URL"),
        ({"GATEWAY_TLS_CERTIFICATE": "{folder}/empty", "GATEWAY_TLS_KEY": "{folder}/empty"}, "GATEWAY_TLS_CERTIFICATE"),
        ({"GATEWAY_UPSTREAM_CA": "{folder}/empty"}, "GATEWAY_UPSTREAM_CA"),
        ({"GATEWAY_DATABASE_URL": "sqlite:///{folder}/empty/gateway.db"}, "GATEWAY_DATABASE_URL cannot be used: Not a directory"),
        ({"GATEWAY_DATABASE_URL": "sqlite:///{folder}"}, "is not a file that can be read and written"),
        ({"GATEWAY_DATABASE_URL": "sqlite:///{folder}/notes"}, "is not an SQLite database"),
    ],
    ids=[
        "database of Valkey",
        "port of Valkey",
        "empty key file",
        "key file that cannot be",
        "workers without Valkey",
        "certificate that is none",
        "authorities that are none",
        "folder of the database that is none",
        "database that is a folder",
        "database that is a text",
    ],
)
def test_settings_that_cannot_serve(environ: dict[str, str], said: str, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "notes").write_text("what somebody wrote")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "VALKEY_"))}
    given = {
        "GATEWAY_PROXY_BIND": f"127.0.0.1:{free_port()}",
        "GATEWAY_OPERATOR_BIND": f"127.0.0.1:{free_port()}",
        "GATEWAY_DATABASE_URL": f"sqlite:///{tmp_path}/gateway.db",
        "GATEWAY_OPERATOR_KEY_PATH": str(tmp_path / "operator.key"),
        "GATEWAY_MASTER_KEY_PATH": str(tmp_path / "master.key"),
        **{name: value.format(folder=tmp_path) for name, value in environ.items()},
    }
    ended = run_program(COMMAND, {**kept, **given})
    assert ended.returncode == 78, ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "hunter2" not in ended.stderr


@pytest.mark.parametrize("key", ["another", "lost"])
def test_the_master_key_of_another_installation(key: str, database_url: str, tmp_path: Path) -> None:
    with gateway(tmp_path, [], {"GATEWAY_DATABASE_URL": database_url}) as running:
        hook = {"name": "h", "method": "POST", "target_path": "http://127.0.0.1:9/", "secret": "hunter2"}
        assert running.operator("POST", "/api/hooks", hook)[0] == 200
        env = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "VALKEY_"))} | running.env
        file = Path(env["GATEWAY_MASTER_KEY_PATH"])
    if key == "lost":
        file.unlink()
    else:
        file.write_text("another master key of more than 32 letters")
    ended = run_program(COMMAND, env)
    assert ended.returncode == 3, ended.stderr
    what = "is not there" if key == "lost" else "is not the key that sealed the secrets"
    assert f"gateway: cannot start: GATEWAY_MASTER_KEY_PATH ({file}) {what}; put the former key back" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert file.exists() == (key == "another")


def test_a_database_of_newer_code(database_url: str, tmp_path: Path) -> None:
    with gateway(tmp_path, [], {"GATEWAY_DATABASE_URL": database_url}) as running:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "VALKEY_"))} | running.env
    engine = sa.create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    ended = run_program(COMMAND, env)
    assert ended.returncode == 3, ended.stderr
    (said,) = [line for line in ended.stderr.splitlines() if line.startswith("gateway: cannot start: ")]
    assert "at migration 9999" in said
    assert "newer version" in said
    assert "Traceback" not in ended.stderr
