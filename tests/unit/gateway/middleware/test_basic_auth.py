"""Users and passwords: what is read, what is checked, and what is remembered."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import Callable
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
    """checked: the users whose password was compared. during: what happens meanwhile."""

    def __init__(self, during: Callable[[], None] = lambda: None, **more: Any) -> None:
        super().__init__(**more)
        self.checked: list[str] = []
        self._during = during

    async def _check(self, question: Any, password: str, look: Any) -> bool:
        self.checked.append(question[0])
        self._during()
        return await super()._check(question, password, look)


def user(id: str = "eve", password: str = HASH, **session: Any) -> Key:
    return make_key(id, basic_auth_data={"password": password, "hash_type": "argon2id"}, **session)


def basic(name: str, password: str, encoding: str = "utf-8", scheme: str = "Basic") -> tuple[str, str]:
    return ("Authorization", f"{scheme} {base64.b64encode(f'{name}:{password}'.encode(encoding)).decode()}")


def checking(users: KnownKeys | None = None, passwords: Passwords | None = None, **more: Any) -> Any:
    outside = ports(users or Users({"defaulteve": user()}), passwords=passwords)
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


def test_a_password_stays_remembered_when_something_else_changes() -> None:
    """A policy changes all users at once, a definition all users of its API: thousands of checks would keep most of them out."""
    users, passwords = Users({"defaulteve": user()}), Counted()
    rule = checking(users, passwords)
    assert ask(rule, exchange(headers=[basic("eve", PASSWORD)])) is None
    users._keys[user_hash("defaulteve")] = changed = user(rate=5)
    for other in (rule, checking(users, passwords), checking(Users({"defaulteve": changed}, later=True), passwords)):
        request = exchange(headers=[basic("eve", PASSWORD, "latin-1")])
        assert ask(other, request) is None
        assert request.key is changed
    assert len(passwords.checked) == 1


@pytest.mark.parametrize("options", [{}, {"disable_caching": True}])
def test_requests_of_a_user_at_the_same_time_cost_one_check(options: dict[str, Any]) -> None:
    """Else no more than MOST_OF_ONE of them would pass before the password is known."""
    passwords = Counted()
    rule = checking(passwords=passwords, basic_auth=options)
    requests = [exchange(headers=[basic("eve", PASSWORD)]) for _ in range(60)]

    async def together() -> list[Any]:
        waiting = [asyncio.ensure_future(rule.on_request(one)) for one in requests]
        await asyncio.sleep(0)
        waiting[0].cancel()
        return await asyncio.gather(*waiting, return_exceptions=True)

    gone, *answers = asyncio.run(together())
    assert isinstance(gone, asyncio.CancelledError)
    assert answers == [None] * 59
    assert len(passwords.checked) == 1


@pytest.mark.parametrize("after", [None, user(password=hash_password("new"))])
def test_a_user_who_changes_while_the_password_is_checked(after: Key | None) -> None:
    users = Users({"defaulteve": user()})
    rule = checking(users, Counted(lambda: users._keys.update({user_hash("defaulteve"): after})))  # type: ignore[dict-item]
    refusal(rule, exchange(headers=[basic("eve", PASSWORD)]), USER_UNKNOWN)


@pytest.mark.parametrize("name", ["eve", "mallory"])
@pytest.mark.parametrize("later", [False, True])
def test_whether_there_is_a_user_takes_no_other_time(name: str, later: bool) -> None:
    """One in memory waits for a look into the store, too: who is not there needs one."""
    looked = KnownKeys(later=True)

    class Both(Users):
        def find_hash(self, hash: str) -> Any:
            return super().find_hash(hash) if later or hash in self._keys else looked.find_hash(hash)

    refusal(checking(Both({"defaulteve": user()}, later=later)), exchange(headers=[basic(name, "wrong")]), USER_UNKNOWN)
    assert len(looked.asked) == (0 if later else 1)


def test_what_is_remembered_of_strangers_is_bounded() -> None:
    rule = checking()
    for name in ("a" * 256, "a" * 257):
        rule._read(exchange(headers=[basic(name, "x")]))
    assert [len(sent.user) for sent in rule._known.values()] == [256]
    for number in range(1100):
        rule._read(exchange(headers=[basic(str(number), "x")]))
    assert sys.getsizeof(rule._known) < 100_000


def test_the_users_whose_passwords_are_remembered_are_bounded() -> None:
    """The oldest are forgotten, not all: each costs a check."""
    users = Users({f"default{n}": user(str(n)) for n in range(12)})
    passwords = Counted(capacity=10)
    rule = checking(users, passwords)
    for number in (*range(12), *range(2, 12)):
        assert ask(rule, exchange(headers=[basic(str(number), PASSWORD)])) is None
    assert len(passwords.checked) == 12


def test_a_wrong_password_is_checked_once_a_second() -> None:
    time = Time()
    passwords = Counted(now=time)
    rule = checking(passwords=passwords)
    for _ in range(5):
        refusal(rule, exchange(headers=[basic("eve", "wrong")]), USER_UNKNOWN)
    assert len(passwords.checked) == 1
    time.now += 1.5
    refusal(rule, exchange(headers=[basic("eve", "wrong")]), USER_UNKNOWN)
    assert len(passwords.checked) == 2


def test_a_password_is_remembered_while_it_is_used() -> None:
    time = Time()
    passwords = Counted(now=time)
    rule = checking(passwords=passwords, basic_auth={"cache_ttl": 10})
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


@pytest.mark.parametrize(("limit", "client"), [("most", "192.0.2.{}"), ("of_one", "192.0.2.1"), ("of_one", "2001:db8::{}")])
def test_a_flood_of_passwords_is_turned_away(limit: str, client: str) -> None:
    """Of many at once, as many are checked as may wait; of one user, and from one client, no more than their share. A client of IPv6 has
    all addresses of its /64.
    """
    limits = {"most": 3, "of_one": 3, limit: 2}
    rule = checking(passwords=Passwords(limits["most"], limits["of_one"]))
    clients = [client.format(n) for n in range(5)]
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
