"""A service that starts: which database is away, and which will never take it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from services.common import startup
from services.common.core_database import CoreDatabase


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"database": "not-there"}, 'database "not-there" does not exist'),
        ({"username": "nobody"}, 'role "nobody" does not exist'),
    ],
)
def test_a_server_that_answers_and_refuses(postgresql_url: str, change: dict[str, str], said: str) -> None:
    database = CoreDatabase(sa.make_url(postgresql_url).set(**change).render_as_string(hide_password=False))
    with pytest.raises(sa.exc.OperationalError, match=said) as refused:
        startup.answers("tokens", database)
    line = startup.in_a_line("tokens", refused.value)
    assert said in line
    assert line.endswith("; check TOKENS_DATABASE_URL and the database")


@pytest.mark.parametrize(
    ("told", "refuses"),
    [
        ('FATAL:  password authentication failed for user "joe"', True),
        ("fe_sendauth: no password supplied", True),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "joe", database "x", no encryption', True),
        ('FATAL:  role "joe" is not permitted to log in', True),
        ("FATAL:  the database system is starting up", False),
        ("FATAL:  sorry, too many clients already", False),
        ("connection refused", False),
        ("failed to resolve host 'db': [Errno -3] Temporary failure in name resolution", False),
    ],
)
def test_what_waiting_does_not_mend(monkeypatch: pytest.MonkeyPatch, told: str, refuses: bool) -> None:
    def check(*_: object) -> None:
        raise sa.exc.OperationalError(None, None, Exception(told))

    monkeypatch.setattr(startup, "check_migrated", check)
    database = CoreDatabase("postgresql://user@127.0.0.1:1/none")
    if refuses:
        with pytest.raises(sa.exc.OperationalError):
            startup.answers("tokens", database)
    else:
        assert startup.answers("tokens", database) is False
