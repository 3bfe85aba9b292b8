"""Users, domains, role tokens, clients and audit, by administrators; and who is not one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from services.auth import levels
from tests.unit.auth.conftest import ADMIN, PASSWORD, SERVICE, Auth


@pytest.fixture
def lab(auth: Auth, admin: str) -> dict[str, Any]:
    """A second domain with an administrator of its own and a user."""
    assert auth.ask("POST", "/domains", {"name": "lab"}, token=admin).status_code == 201
    boss = auth.add_user("boss@example.org", admin, domain="lab", level="DOMAIN_ADMIN")
    user = auth.add_user("user@example.org", admin, domain="lab", level="EDITOR", layer_domains=["trees"])
    return {"boss": boss, "user": user, "token": auth.log_in("boss@example.org")}


def test_a_user_as_json(auth: Auth, lab: dict[str, Any], admin: str) -> None:
    answer = auth.ask("GET", f"/users/{lab['user']['id']}", token=admin)
    assert answer.json == {
        "id": lab["user"]["id"],
        "email": "user@example.org",
        "full_name": "",
        "domain": "lab",
        "level": "EDITOR",
        "active": True,
        "layer_domains": ["trees"],
        "created_at": "2026-03-01T12:00:00.000Z",
        "last_login_at": None,
    }
    assert answer.headers["ETag"] == '"1"'


def test_lists_are_paged_and_filtered(auth: Auth, lab: dict[str, Any], admin: str) -> None:
    def listed(**query: Any) -> tuple[list[str], int]:
        found = auth.ask("GET", "/users", token=admin, query_string=query).json
        return [one["email"] for one in found["items"]], found["total"]

    assert listed() == ([ADMIN, "boss@example.org", "user@example.org"], 3)
    assert listed(page=2, per_page=2) == (["user@example.org"], 3)
    assert listed(page=9) == ([], 3)
    assert listed(domain="lab", level="EDITOR") == (["user@example.org"], 1)
    assert listed(active="false") == ([], 0)
    assert listed(q="BOSS") == (["boss@example.org"], 1)
    assert listed(q="%") == ([], 0)


@pytest.mark.parametrize("text", ["élan", "ÉLAN", "straße", "MÜLLER", "müller.de", "xn--mller-kva", "Q@"])
def test_users_are_found_in_every_script_and_case(auth: Auth, admin: str, text: str) -> None:
    auth.add_user("q@Müller.de", admin, full_name="Élan Straße")
    found = auth.ask("GET", "/users", token=admin, query_string={"q": text}).json
    assert [one["email"] for one in found["items"]] == ["q@Müller.de"]


@pytest.mark.parametrize("query", [{"page": 0}, {"per_page": 201}, {"page": "x"}, {"level": "KING"}, {"more": 1}, {"q": "a\x00"}])
def test_wrong_queries_are_named(auth: Auth, admin: str, query: dict[str, Any]) -> None:
    answer = auth.ask("GET", "/users", token=admin, query_string=query)
    if query != {"more": 1}:  # unknown parameters of a query are left alone
        assert (answer.status_code, list(answer.json["fields"])) == (422, list(query))


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "yesterday"])
def test_moments_that_are_none_in_utc_are_named(auth: Auth, admin: str, moment: str) -> None:
    for method, path, body, query in [
        ("PUT", "/role-tokens/cut-off/admin", {"cut_off": moment}, {}),
        ("POST", "/role-tokens", {"subject": "admin", "not_before": moment}, {}),
        ("GET", "/audit", None, {"since": moment}),
    ]:
        answer = auth.ask(method, path, body, token=admin, query_string=query)
        assert (answer.status_code, len(answer.json["fields"])) == (422, 1), path


def test_a_domain_admin_rules_the_own_domain_up_to_the_own_level(auth: Auth, lab: dict[str, Any], admin: str) -> None:
    token = lab["token"]
    other = auth.add_user("other@example.org", admin)
    higher = auth.add_user("higher@example.org", admin, domain="lab", level="SUPER_USER")

    assert auth.ask("GET", "/users", token=token).json["total"] == 3
    assert auth.ask("GET", "/users", token=token, query_string={"domain": "gatehouse"}).json["total"] == 0
    for method, path, body in [
        ("GET", "", None),
        ("PATCH", "", {"full_name": "x"}),
        ("DELETE", "", None),
        ("POST", "/password", {"new_password": "another horse battery"}),
    ]:
        assert auth.ask(method, f"/users/{other['id']}{path}", body, token=token).status_code == 404
        if method != "GET":
            assert auth.ask(method, f"/users/{higher['id']}{path}", body, token=token).status_code == 403

    new = {"email": "new@example.org", "password": PASSWORD}
    assert auth.ask("POST", "/users", {**new, "domain": "gatehouse"}, token=token).status_code == 403
    assert auth.ask("POST", "/users", {**new, "level": "SUPER_USER"}, token=token).status_code == 403
    made = auth.ask("POST", "/users", {**new, "level": "DOMAIN_ADMIN"}, token=token)
    assert (made.status_code, made.json["domain"]) == (201, "lab")

    mine = f"/users/{lab['user']['id']}"
    assert auth.ask("PATCH", mine, {"level": "HOST_SESSION"}, token=token).status_code == 200
    assert auth.ask("PATCH", mine, {"level": "SUPER_USER"}, token=token).status_code == 403
    assert auth.ask("PATCH", mine, {"domain": "gatehouse"}, token=token).status_code == 403
    assert auth.ask("POST", mine + "/password", {"new_password": "another horse battery"}, token=token).status_code == 204
    assert auth.log_in("user@example.org", "another horse battery")
    assert auth.ask("DELETE", mine, token=token).status_code == 204


@pytest.mark.parametrize("level", [one for one in levels.ALL if one not in ("DOMAIN_ADMIN", "SUPER_USER")])
def test_others_administer_nobody(auth: Auth, admin: str, level: str) -> None:
    auth.add_user("u@example.org", admin, level=level)
    token = auth.log_in("u@example.org")
    assert auth.ask("GET", "/users", token=token).status_code == 403
    assert auth.ask("POST", "/users", {"email": "x@example.org", "password": PASSWORD}, token=token).status_code == 403


SUPER_ONLY = [
    ("GET", "/domains", None),
    ("POST", "/domains", {"name": "x"}),
    ("PATCH", "/domains/lab", {"login_key_lifetime_s": 600}),
    ("DELETE", "/domains/lab", None),
    ("GET", "/role-tokens", None),
    ("POST", "/role-tokens", {"subject": "public"}),
    ("DELETE", "/role-tokens/x", None),
    ("PUT", "/role-tokens/cut-off/public", {"cut_off": "2026-01-01T00:00:00Z"}),
    ("GET", "/clients", None),
    ("POST", "/clients", {"name": "x", "service": True}),
    ("DELETE", "/clients/x", None),
    ("POST", "/signing-keys/rotate", {}),
    ("GET", "/signing-keys", None),
    ("GET", "/audit", None),
]


@pytest.mark.parametrize(("method", "path", "body"), SUPER_ONLY)
def test_only_super_users_may(auth: Auth, lab: dict[str, Any], method: str, path: str, body: Any) -> None:
    answer = auth.ask(method, path, body, token=lab["token"])
    assert (answer.status_code, answer.json["code"]) == (403, "not-allowed")
    assert auth.ask(method, path, body).status_code == 401


# e-mail addresses


def test_an_address_is_taken_case_blind(auth: Auth, admin: str) -> None:
    answer = auth.ask("POST", "/users", {"email": ADMIN.upper(), "password": PASSWORD, "domain": "gatehouse"}, token=admin)
    assert (answer.status_code, answer.json["error"]) == (409, "e-mail taken")


@pytest.mark.parametrize(
    "email",
    [
        "аdmin@gatehouse.local",
        "admın@gatehouse.local",
        "ａdmin@gatehouse.local",
        "admin@gаtehouse.local",
        "admin@xn--gtehouse-16g.local",  # the one before, as it is sent
    ],
)
def test_look_alikes_of_an_address_are_taken_too(auth: Auth, admin: str, email: str) -> None:
    assert email != ADMIN
    answer = auth.ask("POST", "/users", {"email": email, "password": PASSWORD, "domain": "gatehouse"}, token=admin)
    assert answer.status_code == 409
    if email != "ａdmin@gatehouse.local":  # full-width letters are the same address; the others are nobody's
        assert auth.ask("POST", "/login", {"email": email, "password": PASSWORD}).status_code == 401


@pytest.mark.parametrize(
    "email",
    [
        *("", "x", "@x.org", "a@", "a b@x.org", "a@x..org", "a\u200b@x.org", "a@-x.org", "a" * 65 + "@x.org", "a..b@x.org"),
        "ß" * 64 + "@" + ".".join("é" * 31),  # short enough as it is written, but not as it is compared
    ],
)
def test_wrong_addresses_are_named(auth: Auth, admin: str, email: str) -> None:
    answer = auth.ask("POST", "/users", {"email": email, "password": PASSWORD, "domain": "gatehouse"}, token=admin)
    assert (answer.status_code, list(answer.json["fields"])) == (422, ["email"])


def test_of_several_who_take_one_address_at_once_one_wins(auth: Auth, admin: str) -> None:
    body = {"email": "same@example.org", "password": PASSWORD, "domain": "gatehouse"}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: auth.ask("POST", "/users", body, token=admin).status_code, range(4)))
    assert sorted(answers) == [201, 409, 409, 409]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"password": "short"}, "password"),
        ({"domain": "nowhere"}, "domain"),
        ({"level": "KING"}, "level"),
        ({"active": "yes"}, "active"),
        ({"full_name": "x" * 201}, "full_name"),
        ({"full_name": "\ud800"}, "full_name"),
        ({"layer_domains": [1]}, "layer_domains"),
        ({"id": "x"}, "id"),
    ],
)
def test_wrong_fields_of_a_user_are_named(auth: Auth, admin: str, body: dict[str, Any], field: str) -> None:
    answer = auth.ask("POST", "/users", {"email": "n@example.org", "password": PASSWORD, "domain": "gatehouse", **body}, token=admin)
    assert (answer.status_code, list(answer.json["fields"])) == (422, [field])


# two administrators, and the last super user


def test_two_administrators_who_edit_one_user(auth: Auth, lab: dict[str, Any], admin: str) -> None:
    path = f"/users/{lab['user']['id']}"
    tag = auth.ask("GET", path, token=admin).headers["ETag"]
    first = auth.ask("PATCH", path, {"full_name": "First"}, token=admin, headers={"If-Match": tag})
    assert first.status_code == 200
    second = auth.ask("PATCH", path, {"full_name": "Second"}, token=lab["token"], headers={"If-Match": tag})
    assert (second.status_code, second.json["code"]) == (412, "changed-meanwhile")
    assert auth.ask("DELETE", path, token=admin, headers={"If-Match": '"nonsense"'}).status_code == 412
    again = auth.ask("PATCH", path, {"full_name": "Second"}, token=lab["token"], headers={"If-Match": first.headers["ETag"]})
    assert again.json["full_name"] == "Second"


def test_of_two_edits_at_once_with_one_tag_one_wins(auth: Auth, lab: dict[str, Any], admin: str) -> None:
    path = f"/users/{lab['user']['id']}"

    def edit(name: str) -> int:
        return auth.ask("PATCH", path, {"full_name": name}, token=admin, headers={"If-Match": '"1"'}).status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(edit, ["a", "b"])) == [200, 412]


def test_the_last_active_super_user_stays(auth: Auth, admin: str) -> None:
    me = auth.ask("GET", "/me", token=admin).json["id"]
    for method, body in [("DELETE", None), ("PATCH", {"active": False}), ("PATCH", {"level": "EDITOR"})]:
        answer = auth.ask(method, f"/users/{me}", body, token=admin)
        assert (answer.status_code, answer.json["code"]) == (409, "last-super-user")
    auth.add_user("second@example.org", admin, level="SUPER_USER")
    assert auth.ask("PATCH", f"/users/{me}", {"active": False}, token=admin).status_code == 200


def test_two_super_users_do_not_end_each_other_at_once(auth: Auth, admin: str) -> None:
    me = auth.ask("GET", "/me", token=admin).json["id"]
    other = auth.add_user("second@example.org", admin, level="SUPER_USER")["id"]
    second = auth.log_in("second@example.org")
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(lambda one: auth.ask("DELETE", f"/users/{one[0]}", token=one[1]).status_code, [(other, admin), (me, second)])
    assert sorted(answers)[0] == 204
    with auth.parts.database.transaction() as session:
        from services.auth.people import store as users

        assert len(users.lock_super_users(session)) == 1


def test_disabling_a_user_counts_at_once(auth: Auth, lab: dict[str, Any], admin: str) -> None:
    token = auth.log_in("user@example.org")
    secret = auth.ask("POST", "/me/tokens", {"kind": "account"}, token=token).json["secret"]
    auth.ask("PATCH", f"/users/{lab['user']['id']}", {"active": False}, token=admin)
    assert auth.verify(token).status_code == 401
    assert auth.verify(secret).status_code == 401
    assert auth.verify_basic("user@example.org", PASSWORD).status_code == 401
    auth.ask("PATCH", f"/users/{lab['user']['id']}", {"active": True}, token=admin)
    assert auth.verify(secret).status_code == 200
    assert auth.verify(token).status_code == 401


def test_removing_a_user_removes_the_credentials(auth: Auth, lab: dict[str, Any], admin: str) -> None:
    token = auth.log_in("user@example.org")
    secret = auth.ask("POST", "/me/tokens", {"kind": "account"}, token=token).json["secret"]
    assert auth.ask("DELETE", f"/users/{lab['user']['id']}", token=admin).status_code == 204
    assert auth.verify(secret).status_code == 401
    assert auth.ask("GET", f"/users/{lab['user']['id']}", token=admin).status_code == 404


@pytest.mark.parametrize("path", ["/users/nobody", "/users/" + "x" * 300, "/users/%00", "/users/é"])
def test_a_user_that_is_not_there(auth: Auth, admin: str, path: str) -> None:
    assert auth.ask("GET", path, token=admin).status_code == 404


# domains


def test_domains(auth: Auth, admin: str) -> None:
    made = auth.ask("POST", "/domains", {"name": "lab"}, token=admin)
    assert made.json == {"name": "lab", "login_key_lifetime_s": 604800, "created_at": "2026-03-01T12:00:00.000Z"}
    assert auth.ask("POST", "/domains", {"name": "lab"}, token=admin).json["code"] == "name-taken"
    assert auth.ask("PATCH", "/domains/lab", {"login_key_lifetime_s": 600}, token=admin).json["login_key_lifetime_s"] == 600
    assert [one["name"] for one in auth.ask("GET", "/domains", token=admin).json["items"]] == ["gatehouse", "lab"]
    assert auth.ask("DELETE", "/domains/gatehouse", token=admin).json["code"] == "domain-in-use"
    assert auth.ask("DELETE", "/domains/lab", token=admin).status_code == 204
    assert auth.ask("DELETE", "/domains/lab", token=admin).status_code == 404
    assert auth.ask("PATCH", "/domains/lab", {"login_key_lifetime_s": 600}, token=admin).status_code == 404


@pytest.mark.parametrize(("lifetime", "status"), [(599, 422), (600, 201), (31 * 86400, 201), (31 * 86400 + 1, 422), ("600", 422)])
def test_a_login_key_lives_10_minutes_to_a_month(auth: Auth, admin: str, lifetime: Any, status: int) -> None:
    body = {"name": "lab", "login_key_lifetime_s": lifetime}
    assert auth.ask("POST", "/domains", body, token=admin).status_code == status


# clients


def test_only_services_may_ask(auth: Auth, admin: str) -> None:
    made = auth.ask("POST", "/clients", {"name": "App", "redirect_uris": ["https://app.example.org/"]}, token=admin).json
    service = auth.ask("POST", "/clients", {"name": "New service", "service": True}, token=admin).json
    body = {"token": admin}
    user_id = auth.verify(admin).json["user"]["id"]
    for basic, status in [
        ((made["client_id"], made["client_secret"]), 401),
        (SERVICE, 200),
        ((service["client_id"], service["client_secret"]), 200),
        ((SERVICE[0], "wrong"), 401),
        (("nobody", SERVICE[1]), 401),
        (("\x00", "x"), 401),
        (None, 401),
    ]:
        assert auth.ask("POST", "/verify/token", body, basic=basic).status_code == status
        assert auth.ask("POST", "/verify/basic", {"username": ADMIN, "password": PASSWORD}, basic=basic).status_code == status
        answer = auth.ask("POST", "/verify/user", {"id": user_id}, basic=basic)
        assert (answer.status_code, answer.json.get("email")) == (status, ADMIN if status == 200 else None)
    for path, asked in (("token", body), ("user", {"id": user_id})):
        assert auth.ask("POST", f"/verify/{path}", asked, token=admin).status_code == 401


@pytest.mark.parametrize("body", [{}, {"id": 5}, {"id": None}, {"id": "x", "more": 1}, [1]])
def test_wrong_questions_about_a_user_are_refused(auth: Auth, body: Any) -> None:
    assert auth.ask("POST", "/verify/user", body, basic=SERVICE).status_code == 422
    assert auth.ask("POST", "/verify/user", body, basic=("nobody", "x")).json["code"] == "service-credentials-needed"


def test_clients(auth: Auth, admin: str) -> None:
    made = auth.ask("POST", "/clients", {"name": "App", "redirect_uris": ["https://app.example.org/"]}, token=admin).json
    assert made["client_secret"].startswith("gh_cli_")
    assert made["grants"] == ["authorization_code", "refresh_token"]
    listed = auth.ask("GET", "/clients", token=admin).json
    assert [one["name"] for one in listed["items"]] == ["App", "sessions"]
    assert all("client_secret" not in one for one in listed["items"])
    assert auth.ask("DELETE", f"/clients/{made['client_id']}", token=admin).status_code == 204
    assert auth.ask("DELETE", f"/clients/{made['client_id']}", token=admin).status_code == 404
    assert auth.ask("DELETE", "/clients/sessions", token=admin).json["code"] == "client-in-settings"


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": "x"}, {"name": "x", "grants": ["password"]}, {"name": "x", "public": True, "service": True}]
)
def test_wrong_clients_are_refused(auth: Auth, admin: str, body: dict[str, Any]) -> None:
    assert auth.ask("POST", "/clients", body, token=admin).status_code == 422


# audit


def test_the_audit_tells_who_did_what_when_from_where(auth: Auth, lab: dict[str, Any], admin: str) -> None:
    auth.ask(
        "PATCH",
        f"/users/{lab['user']['id']}",
        {"full_name": "Ada"},
        token=lab["token"],
        address="203.0.113.9",
        headers={"X-Request-Id": "r-1"},
    )
    found = auth.ask("GET", "/audit", token=admin, query_string={"action": "user.change"}).json
    assert found["total"] == 1
    line = found["items"][0]
    assert line.pop("id") > 0
    assert line == {
        "at": "2026-03-01T12:00:00.000Z",
        "action": "user.change",
        "actor_id": lab["boss"]["id"],
        "actor": "boss@example.org",
        "target": lab["user"]["id"],
        "address": "203.0.113.9",
        "request_id": "r-1",
        "details": {"fields": ["full_name"]},
    }
    by = {"actor_id": lab["boss"]["id"], "since": "2026-03-01T11:00:00Z", "until": "2026-03-01T13:00:00+00:00", "per_page": 1}
    assert auth.ask("GET", "/audit", token=admin, query_string=by).json["total"] == 2
    assert auth.ask("GET", "/audit", token=admin, query_string={"until": "2026-03-01T11:00:00Z"}).json["total"] == 0
    assert auth.ask("GET", "/audit", token=admin, query_string={"since": "yesterday"}).status_code == 422


def test_a_failed_log_in_is_in_the_audit_without_what_was_typed(auth: Auth, admin: str) -> None:
    auth.ask("POST", "/login", {"email": "my password in the wrong field", "password": "x"})
    auth.ask("POST", "/login", {"email": ADMIN, "password": "a wrong password"})
    found = auth.ask("GET", "/audit", token=admin, query_string={"action": "login.failed"})
    assert [one["target"] for one in found.json["items"]] == [ADMIN, None]
    assert "password" not in found.text


def test_the_audit_is_forgotten_after_a_while(auth: Auth, admin: str) -> None:
    auth.clock.move(401 * 86400)
    auth.parts.forget_expired()
    assert auth.ask("GET", "/audit", basic=(ADMIN, PASSWORD)).json["total"] == 0
