"""Users and passwords: what is read, what is checked, and what is remembered."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from services.gateway.compiler import lint
from services.gateway.definitions.model import Places, Way
from services.gateway.keys.model import Key, user_hash
from services.gateway.keys.passwords import Passwords, hash_password
from services.gateway.middleware import basic_auth
from services.gateway.middleware.basic_auth import Spec
from services.gateway.refusals import (
    BASIC_MALFORMED,
    BASIC_NOT_ENCODED,
    BASIC_WITHOUT_COLON,
    KEY_MISSING,
    PASSWORDS_BUSY,
    USER_UNKNOWN,
    Refusal,
)
from tests.unit.gateway.exchanges import KnownKeys, Time, ask, built, definition, exchange, make_key, mistakes, ports, refusal, spec

PASSWORD = "s3:cr:ét"
HASH = hash_password(PASSWORD)


class Users(KnownKeys):
    """Users by their full name."""

    def __init__(self, users: dict[str, Key], *, later: bool = False) -> None:
        super().__init__(later=later)
        self._keys = {user_hash(name): key for name, key in users.items()}


class Counted(Passwords):
    """checked: the users whose password was compared."""

    def __init__(self, **limits: int) -> None:
        super().__init__(**limits)
        self.checked: list[str] = []

    async def fits(self, kept: str, password: str, user: str, client: str) -> bool:
        self.checked.append(user)
        return await super().fits(kept, password, user, client)


def user(id: str = "eve", password: str = HASH, **session: Any) -> Key:
    return make_key(id, basic_auth_data={"password": password, "hash_type": "argon2id"}, **session)


def basic(name: str, password: str, encoding: str = "utf-8", scheme: str = "Basic") -> tuple[str, str]:
    return ("Authorization", f"{scheme} {base64.b64encode(f'{name}:{password}'.encode(encoding)).decode()}")


def checking(users: KnownKeys | None = None, passwords: Passwords | None = None, time: Time | None = None, **more: Any) -> Any:
    outside = ports(users or Users({"defaulteve": user()}), time=time, passwords=passwords)
    return built(basic_auth, outside, use_basic_auth=True, **more)


def test_an_api_that_asks_for_no_user() -> None:
    assert spec(basic_auth) is None
    assert spec(basic_auth, use_basic_auth=True, use_keyless=True) is None
    assert lint(definition(basic_auth={"cache_ttl": 5})) == []


def test_where_a_user_is_looked_for() -> None:
    """The header of HTTP, whatever `auth` says of keys, as in Tyk 3.1; unless `auth_configs` says otherwise."""
    assert spec(basic_auth, use_basic_auth=True, auth={"auth_header_name": "X-Key"}) == Spec("Api", "default", Way(Places()), 60)
    elsewhere = spec(basic_auth, use_basic_auth=True, auth_configs={"basic": {"auth_header_name": "X-User"}}, org_id="o")
    assert elsewhere == Spec("Api", "o", Way(Places("X-User")), 60)


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize(("encoding", "scheme"), [("utf-8", "Basic"), ("latin-1", "Basic"), ("utf-8", "basic")])
def test_a_right_password(encoding: str, scheme: str, later: bool) -> None:
    known = user()
    request = exchange(headers=[basic("eve", PASSWORD, encoding, scheme)])
    assert ask(checking(Users({"defaulteve": known}, later=later)), request) is None
    assert (request.key, request.presented_key) == (known, "eve")
    assert request.drop_headers is None


def test_a_password_in_another_form_of_the_same_text() -> None:
    assert ask(checking(), exchange(headers=[basic("eve", "s3:cr:e\u0301t")])) is None


@pytest.mark.parametrize(("name", "password"), [("eve", "s3"), ("eve", ""), ("mallory", PASSWORD), ("", ""), ("Eve", PASSWORD)])
@pytest.mark.parametrize("later", [False, True])
def test_a_wrong_user_or_password(name: str, password: str, later: bool) -> None:
    passwords = Counted()
    rule = checking(Users({"defaulteve": user()}, later=later), passwords, name='A "b"')
    told = refusal(rule, exchange(headers=[basic(name, password)]), USER_UNKNOWN)
    assert told.headers == ((b"WWW-Authenticate", b"Basic realm=\"A 'b'\""),)
    assert len(passwords.checked) == 1  # also for a user who is not there, who takes as long


def test_a_key_of_the_same_name_is_no_user() -> None:
    refusal(checking(Users({"defaulteve": make_key()})), exchange(headers=[basic("eve", "")]), USER_UNKNOWN)


def test_nobody() -> None:
    told = refusal(checking(), exchange(), KEY_MISSING)
    assert told.headers == ((b"WWW-Authenticate", b'Basic realm="Api"'),)


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        ("zzz", BASIC_MALFORMED),
        ("Basic a b", BASIC_MALFORMED),
        ("Basic ???", BASIC_NOT_ENCODED),
        ("Basic ü", BASIC_NOT_ENCODED),
        ("Basic YQ", BASIC_NOT_ENCODED),
        ("Basic YQ==", BASIC_WITHOUT_COLON),
        ("Basic " + "A" * 2000, USER_UNKNOWN),
    ],
)
def test_what_is_not_a_user_and_a_password(sent: str, kind: Any) -> None:
    refusal(checking(), exchange(headers=[("Authorization", sent)]), kind)


def test_a_right_password_is_checked_once_until_the_user_changes() -> None:
    users, passwords = Users({"defaulteve": user()}), Counted()
    rule = checking(users, passwords)
    for _ in range(3):
        assert ask(rule, exchange(headers=[basic("eve", PASSWORD)])) is None
    assert len(passwords.checked) == 1
    users._keys[user_hash("defaulteve")] = user(password=hash_password("new"))
    refusal(rule, exchange(headers=[basic("eve", PASSWORD)]), USER_UNKNOWN)
    assert ask(rule, exchange(headers=[basic("eve", "new")])) is None
    refusal(rule, exchange(headers=[basic("eve", "new!")]), USER_UNKNOWN)
    assert ask(rule, exchange(headers=[basic("eve", "new")])) is None
    assert len(passwords.checked) == 4


def test_a_wrong_password_is_checked_once_a_second() -> None:
    passwords, time = Counted(), Time()
    rule = checking(passwords=passwords, time=time)
    for _ in range(5):
        refusal(rule, exchange(headers=[basic("eve", "wrong")]), USER_UNKNOWN)
    assert len(passwords.checked) == 1
    time.now += 1.5
    refusal(rule, exchange(headers=[basic("eve", "wrong")]), USER_UNKNOWN)
    assert len(passwords.checked) == 2


def test_a_password_is_remembered_while_it_is_used() -> None:
    passwords, time = Counted(), Time()
    rule = checking(passwords=passwords, time=time, basic_auth={"cache_ttl": 10})
    for _ in range(8):
        assert ask(rule, exchange(headers=[basic("eve", PASSWORD)])) is None
        time.now += 7
    assert len(passwords.checked) == 1
    time.now += 11
    assert ask(rule, exchange(headers=[basic("eve", PASSWORD)])) is None
    assert len(passwords.checked) == 2


def test_nothing_is_remembered_when_the_definition_says_so() -> None:
    passwords = Counted()
    rule = checking(passwords=passwords, basic_auth={"disable_caching": True})
    for _ in range(2):
        assert ask(rule, exchange(headers=[basic("eve", PASSWORD)])) is None
    assert len(passwords.checked) == 2


def test_a_user_in_a_query_counts_for_its_own_request() -> None:
    """The fields of two requests may be the same, and their queries not."""
    rule = checking(auth_configs={"basic": {"use_param": True, "param_name": "u"}})
    right = exchange(target=f"/api/?u={basic('eve', PASSWORD)[1].replace(' ', '+').replace('=', '%3D')}")
    wrong = exchange(target="/api/?u=Basic+ZXZlOng%3D")
    wrong.section = right.section
    assert ask(rule, right) is None
    refusal(rule, wrong, USER_UNKNOWN)


def test_the_upstream_does_not_see_what_is_stripped() -> None:
    request = exchange(headers=[basic("eve", PASSWORD)])
    ask(checking(strip_auth_data=True), request)
    assert request.drop_headers == {b"authorization"}


def test_passwords_in_bodies_are_not_read() -> None:
    assert mistakes(basic_auth, use_basic_auth=True, basic_auth={"extract_from_body": True}) == ["/basic_auth/extract_from_body"]
    assert mistakes(basic_auth, basic_auth={"extract_from_body": True}) == []


@pytest.mark.parametrize("limit", ["most", "of_one"])
def test_a_flood_of_passwords_is_turned_away(limit: str) -> None:
    """Of many at once, as many are checked as may wait; of one user, and from one address, no more than their share."""
    rule = checking(passwords=Passwords(**{"most": 3, "of_one": 3, limit: 2}))
    clients = ["192.0.2.1"] * 5 if limit == "of_one" else [f"192.0.2.{n}" for n in range(5)]
    names = [f"u{n}" for n in range(5)]

    async def flood() -> list[Any]:
        return await asyncio.gather(
            *(rule.on_request(exchange(headers=[basic(name, "x")], client=client)) for name, client in zip(names, clients, strict=True)),
            return_exceptions=True,
        )

    kinds = [error.kind for error in asyncio.run(flood()) if isinstance(error, Refusal)]
    assert kinds.count(USER_UNKNOWN) == 2
    assert kinds.count(PASSWORDS_BUSY) == 3
    assert ask(rule, exchange(headers=[basic("eve", PASSWORD)])) is None
