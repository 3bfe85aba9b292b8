"""What a check costs, and that what somebody takes back counts at once: in the process that did it and in every other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.auth.app import build
from services.auth.models import Client, SigningKey
from tests.unit.auth.conftest import ADMIN, PASSWORD, SERVICE, Auth, settings_for


@pytest.fixture
def other(auth: Auth, database_url: str, tmp_path: Path) -> Iterator[Auth]:
    """A second process on the same database."""
    second = Auth(build(settings_for(database_url, tmp_path), auth.clock, key="k" * 32), auth.clock)
    yield second
    second.parts.close()


@pytest.fixture
def statements(auth: Auth) -> list[str]:
    """What the service says to its database from now on."""
    said: list[str] = []
    for engine in (auth.parts.database.engine, auth.parts.lookups._engine):
        sa.event.listen(engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    return said


def tokens_of_every_kind(auth: Auth, admin: str) -> dict[str, str]:
    user = auth.add_user("u@example.org", admin)
    assert user["active"]
    own = auth.log_in("u@example.org")
    return {
        "user": own,
        "account": auth.ask("POST", "/me/tokens", {"kind": "account"}, token=own).json["secret"],
        "role": auth.ask("POST", "/role-tokens", {"subject": "generator"}, token=admin).json["token"],
        "client": auth.ask("POST", "/oauth/token", data={"grant_type": "client_credentials"}, basic=SERVICE).json["access_token"],
    }


def test_a_check_of_a_token_is_one_statement(auth: Auth, admin: str, statements: list[str]) -> None:
    for kind, token in tokens_of_every_kind(auth, admin).items():
        auth.verify(token)
        statements.clear()
        answer = auth.verify(token)
        assert (answer.status_code, answer.json["kind"], len(statements)) == (200, kind, 1)


def test_a_check_of_a_login_key_is_two(auth: Auth, admin: str, statements: list[str]) -> None:
    key = auth.ask("POST", "/me/login-key", token=admin).json["key"]
    statements.clear()
    assert auth.verify_basic(ADMIN, key).status_code == 200
    assert len(statements) == 2


# what somebody may take back, and which tokens end with it


def take_the_token(auth: Auth, admin: str) -> None:
    own = auth.log_in("u@example.org")
    token_id = auth.ask("GET", "/me/tokens", token=own).json["items"][0]["id"]
    assert auth.ask("DELETE", f"/me/tokens/{token_id}", token=own).status_code == 204


def replace_the_token(auth: Auth, admin: str) -> None:
    own = auth.log_in("u@example.org")
    token_id = auth.ask("GET", "/me/tokens", token=own).json["items"][0]["id"]
    assert auth.ask("POST", f"/me/tokens/{token_id}/rotate", token=own).status_code == 200


def change_user(auth: Auth, admin: str, method: str, suffix: str, body: object) -> None:
    user_id = auth.ask("GET", "/users", token=admin, query_string={"q": "u@example.org"}).json["items"][0]["id"]
    assert auth.ask(method, f"/users/{user_id}{suffix}", body, token=admin).status_code in (200, 204)


def revoke_the_role_token(auth: Auth, admin: str) -> None:
    jti = auth.ask("GET", "/role-tokens", token=admin).json["items"][0]["jti"]
    assert auth.ask("DELETE", f"/role-tokens/{jti}", token=admin).status_code == 204


def cut_off(auth: Auth, admin: str) -> None:
    assert auth.ask("PUT", "/role-tokens/cut-off/generator", {"cut_off": "2026-03-01T12:00:01Z"}, token=admin).status_code == 200


def revoke(kind: str) -> Callable[[Auth, dict[str, str]], None]:
    def work(auth: Auth, tokens: dict[str, str]) -> None:
        asking = SERVICE if kind == "client" else None
        assert auth.ask("POST", "/oauth/revoke", data={"token": tokens[kind]}, basic=asking).status_code == 200

    return work


TAKEN_BACK: dict[str, tuple[set[str], Callable[[Auth, str], None]]] = {
    "access token removed": ({"account"}, take_the_token),
    "access token replaced": ({"account"}, replace_the_token),
    "user not active": ({"user", "account"}, lambda auth, admin: change_user(auth, admin, "PATCH", "", {"active": False})),
    "user removed": ({"user", "account"}, lambda auth, admin: change_user(auth, admin, "DELETE", "", None)),
    "password set": (
        {"user"},
        lambda auth, admin: change_user(auth, admin, "POST", "/password", {"new_password": "quite another password"}),
    ),
    "role token revoked": ({"role"}, revoke_the_role_token),
    "role cut off": ({"role"}, cut_off),
}


@pytest.mark.parametrize("what", TAKEN_BACK)
def test_what_is_taken_back_counts_at_once_everywhere(auth: Auth, other: Auth, admin: str, what: str) -> None:
    ended, take_back = TAKEN_BACK[what]
    tokens = tokens_of_every_kind(auth, admin)
    assert {kind for kind, token in tokens.items() if other.verify(token).status_code != 200} == set()
    take_back(auth, admin)
    for process in (auth, other):
        assert {kind for kind, token in tokens.items() if process.verify(token).status_code != 200} == ended


@pytest.mark.parametrize("kind", ["user", "client"])
def test_a_jwt_revoked_by_its_holder_counts_at_once_everywhere(auth: Auth, other: Auth, admin: str, kind: str) -> None:
    tokens = tokens_of_every_kind(auth, admin)
    assert other.verify(tokens[kind]).status_code == 200
    revoke(kind)(auth, tokens)
    for process in (auth, other):
        assert process.verify(tokens[kind]).json["code"] == "token-revoked"
        assert process.verify(tokens["role"]).status_code == 200


def test_a_signing_key_that_was_deleted_ends_its_jwts_at_once(auth: Auth, other: Auth, admin: str) -> None:
    """The way out when the master key is lost, without a restart."""
    tokens = tokens_of_every_kind(auth, admin)
    assert all(other.verify(token).status_code == 200 for token in tokens.values())
    with auth.parts.database.transaction() as session:
        session.execute(sa.delete(SigningKey))
    for process in (auth, other):
        assert {kind for kind, token in tokens.items() if process.verify(token).status_code == 200} == {"account"}
        assert process.ask("GET", "/me", token=tokens["user"]).json["code"] == "invalid-token"


def test_the_credentials_of_a_service_are_read_each_time(auth: Auth, other: Auth, admin: str) -> None:
    made = auth.ask("POST", "/clients", {"name": "seventh", "service": True}, token=admin).json
    asking = (made["client_id"], made["client_secret"])
    assert other.ask("POST", "/verify/token", {"token": admin}, basic=asking).status_code == 200

    def no_service(session: Session) -> None:
        session.execute(sa.update(Client).where(Client.id == made["client_id"]).values(service=False))

    auth.parts.database.run(no_service)
    for process in (auth, other):
        for token in (admin, "rubbish"):
            answer = process.ask("POST", "/verify/token", {"token": token}, basic=asking)
            assert (answer.status_code, answer.json["code"]) == (401, "service-credentials-needed")
    assert auth.ask("POST", "/verify/basic", {"username": ADMIN, "password": PASSWORD}, basic=asking).status_code == 401


@pytest.mark.parametrize("body", ["", "[]", '{"token":1}', '{"token":null}', '{"token":"x","more":1}', "{}", '"token"'])
def test_what_is_no_question_is_refused_by_name(auth: Auth, body: str) -> None:
    answer = auth.ask("POST", "/verify/token", basic=SERVICE, data=body, content_type="application/json")
    assert (answer.status_code, set(answer.json)) in [
        (422, {"error", "code", "request_id", "fields"}),
        (400, {"error", "code", "request_id"}),
    ]
