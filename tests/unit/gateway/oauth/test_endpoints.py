"""The OAuth2 endpoints of an API, each grant from its first request to its last token; and what each refuses."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import threading
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from services.gateway.compiler import compile_api, parse
from services.gateway.exchange import CompiledApi, Reply
from services.gateway.keys.model import Key, secret_hash
from services.gateway.oauth import tokens
from services.gateway.oauth.endpoints import Endpoints, Sent
from services.gateway.oauth.tokens import Tokens
from services.gateway.refusals import KEY_RULES_INVALID, KEY_RULES_MISSING, OAUTH_MALFORMED, Refusal
from tests.unit.gateway.exchanges import ports
from tests.unit.gateway.operators import NotedGateway, Operator, definition

BACK = "https://app.example/cb?x=1"
SECRET = "a-secret-of-the-client"
RULES = {"rate": 5, "per": 60, "access_rights": {"one": {"api_id": "one", "versions": ["Default"]}}, "alias": "eve"}
META = {
    "allowed_access_types": ["authorization_code", "refresh_token", "client_credentials"],
    "allowed_authorize_types": ["code", "token"],
    "auth_login_redirect": "https://login.example/in?theme=dark",
}
POLICY = {"id": "basic", "name": "Basic", "org_id": "default", "rate": 7, "per": 1, "access_rights": {"one": {"api_id": "one"}}}


class House:
    """An API with two clients: `app`, and `robot` that has a policy."""

    def __init__(self, operator: Operator, **changes: Any) -> None:
        self.operator = operator
        self.gateway: NotedGateway = operator.gateway
        document = definition(use_oauth2=True, oauth_meta=META, **changes)
        operator.json("POST", "/api/apis", {"api_definition": document, "hook_references": []})
        operator.json("POST", "/tyk/policies", POLICY)
        client = {"api_id": "one", "redirect_uri": BACK, "secret": SECRET}
        operator.json("POST", "/tyk/oauth/clients/create", {**client, "client_id": "app"})
        operator.json("POST", "/tyk/oauth/clients/create", {**client, "client_id": "robot", "policy_id": "basic"})
        self.api: CompiledApi = compile_api(parse(document), ports(), 1)
        self.now = 0.0
        self.endpoints = self.made()

    def made(self, **settings: int) -> Endpoints:
        gateway = self.gateway
        lifetimes = {"lifetime": 3600, "refresh_lifetime": 86_400, **settings}
        made = Tokens(
            gateway.oauth_store, gateway.keys_store, gateway.definitions, gateway.policies, gateway.publish_keys, lambda: None, **lifetimes
        )
        self.endpoints = Endpoints(made)
        return self.endpoints

    def ask(self, endpoint: str, fields: dict[str, str], *, method: str = "POST", basic: tuple[str, str] | None = None) -> Reply:
        pair = base64.b64encode(":".join(basic).encode()).decode() if basic else ""
        form = urlencode(fields)
        sent = Sent(method, form if method == "GET" else "", f"Basic {pair}" if pair else "", b"" if method == "GET" else form.encode())
        return self.endpoints.answer(endpoint, self.api, sent)

    def code(self, client: str = "app", rules: dict[str, Any] | None = None, **more: str) -> str:
        fields = {"response_type": "code", "client_id": client, "redirect_uri": BACK, "key_rules": json.dumps(rules or RULES), **more}
        body = read(self.ask("/tyk/oauth/authorize-client", fields), 200)
        assert parse_qs(urlsplit(body["redirect_to"]).query)["code"] == [body["code"]]
        return str(body["code"])

    def token(self, code: str, client: str = "app", secret: str = SECRET, status: int = 200, **more: str) -> dict[str, Any]:
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, **more}
        return read(self.ask("/oauth/token", fields, basic=(client, secret)), status)

    def refresh(self, token: str, client: str = "app", status: int = 200) -> dict[str, Any]:
        return read(self.ask("/oauth/token", {"grant_type": "refresh_token", "refresh_token": token}, basic=(client, SECRET)), status)

    def key(self, token: str) -> Key | None:
        opened = self.gateway.keys_store.by_hash(secret_hash(token))
        return None if opened is None else opened.key


def read(reply: Reply, status: int) -> dict[str, Any]:
    assert reply.status == status, reply.body
    found: dict[str, Any] = json.loads(reply.body)
    return found


def location(reply: Reply) -> str:
    return dict(reply.headers)[b"Location"].decode()


@pytest.fixture
def house(operator: Operator) -> House:
    return House(operator)


def test_a_user_is_sent_to_the_login_with_all_that_the_client_asks_for(house: House) -> None:
    asked = {"response_type": "code", "client_id": "app", "redirect_uri": BACK, "state": "s&1"}
    for method in ("GET", "POST"):
        reply = house.ask("/oauth/authorize", asked, method=method)
        assert reply.status == 307
        assert location(reply) == f"https://login.example/in?theme=dark&{urlencode(asked)}"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_id": "a\0b"}, "invalid_client"),
        ({"redirect_uri": BACK + "x"}, "invalid_request"),
        ({"redirect_uri": "https://app.example/"}, "invalid_request"),
    ],
)
def test_nobody_is_sent_to_a_place_that_is_not_the_clients(house: House, changes: dict[str, str], error: str) -> None:
    reply = house.ask("/oauth/authorize", {"response_type": "code", "client_id": "app", "redirect_uri": BACK, **changes}, method="GET")
    assert read(reply, 400)["error"] == error


def test_the_client_hears_what_else_is_wrong(house: House) -> None:
    for changes, error in (
        ({"response_type": "id_token"}, "unsupported_response_type"),
        ({"code_challenge_method": "S256"}, "invalid_request"),
        ({"code_challenge": "x" * 43, "code_challenge_method": "md5"}, "invalid_request"),
    ):
        asked = {"response_type": "code", "client_id": "app", "redirect_uri": BACK, "state": "s1", **changes}
        reply = house.ask("/oauth/authorize", asked, method="GET")
        assert reply.status == 302
        said = parse_qs(urlsplit(location(reply)).query)
        assert (said["error"], said["state"], said["x"]) == ([error], ["s1"], ["1"])


def test_a_code_becomes_tokens(house: House) -> None:
    given = house.token(house.code())
    assert given.keys() == {"access_token", "expires_in", "refresh_token", "token_type"}
    assert (given["token_type"], given["expires_in"]) == ("bearer", 3600)
    key = house.key(given["access_token"])
    assert key is not None
    assert (key.issued_by, key.rate, key.alias, key.session["oauth_client_id"]) == ("one", 5, "eve", "app")
    assert key.expires > 0
    assert given["access_token"].startswith("default")


def test_the_client_may_be_named_in_the_form(house: House) -> None:
    fields = {"grant_type": "authorization_code", "code": house.code(), "redirect_uri": BACK, "client_id": "app", "client_secret": SECRET}
    assert "access_token" in read(house.ask("/oauth/token", fields), 200)


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"secret": "wrong-secret-wrong"}, 401, "invalid_client"),
        ({"client": "nobody"}, 401, "invalid_client"),
        ({"client": "robot"}, 400, "invalid_grant"),
        ({"redirect_uri": "https://app.example/"}, 400, "invalid_grant"),
        ({"grant_type": "magic"}, 400, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "eve", "password": "x"}, 400, "unsupported_grant_type"),
        ({"code_verifier": "x" * 43}, 400, "invalid_request"),
    ],
)
def test_no_tokens(house: House, changes: dict[str, Any], status: int, error: str) -> None:
    code = house.code()
    assert house.token(code, **{"status": status, **changes})["error"] == error
    assert "access_token" in house.token(code)  # the code is still good


def test_an_unknown_client_is_told_the_same_as_one_with_a_wrong_secret(house: House) -> None:
    fields = {"grant_type": "refresh_token", "refresh_token": "x"}
    for pair in (("nobody", SECRET), ("app", "x")):
        by_form = {**fields, "client_id": pair[0], "client_secret": pair[1]}
        answers = [house.ask("/oauth/token", fields, basic=pair), house.ask("/oauth/token", by_form)]
        assert {read(reply, 401)["error_description"] for reply in answers} == {"The client is unknown, or its secret is wrong."}
        assert all(dict(reply.headers)[b"WWW-Authenticate"].startswith(b"Basic ") for reply in answers)


@pytest.mark.parametrize("endpoint", ["/oauth/token", "/oauth/revoke", "/oauth/revoke_all"])
def test_the_header_and_the_form_name_one_client(house: House, endpoint: str) -> None:
    given = house.token(house.code())
    fields = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"], "token": given["access_token"]}
    for secret, more in (
        (SECRET, {"client_id": "robot"}),
        (SECRET, {"client_secret": "x"}),
        ("x", {"client_id": "app", "client_secret": SECRET}),
        ("x", {"client_id": "robot", "client_secret": SECRET}),
    ):
        assert read(house.ask(endpoint, {**fields, **more}, basic=("app", secret)), 400)["error"] == "invalid_request"
    assert house.key(given["access_token"]) is not None
    assert "access_token" in house.refresh(given["refresh_token"])


@pytest.mark.parametrize("more", [{"client_id": "app"}, {"client_id": "app", "client_secret": SECRET}, {"client_secret": ""}])
def test_the_header_and_the_form_may_say_the_same(house: House, more: dict[str, str]) -> None:
    assert "access_token" in house.token(house.code(), **more)


def test_workers_without_oauth2_do_without_authlib() -> None:
    loaded = "import services.gateway.front_door, services.gateway.app, sys; sys.exit('authlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0


def test_a_field_that_comes_twice(house: House) -> None:
    sent = Sent("POST", "", "", b"grant_type=refresh_token&grant_type=refresh_token")
    assert read(house.endpoints.answer("/oauth/token", house.api, sent), 400)["error"] == "invalid_request"


@pytest.mark.parametrize("body", [b"\xff", b"&".join(b"a=1" for _ in range(200))])
def test_what_is_not_a_form(house: House, body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        house.endpoints.answer("/oauth/token", house.api, Sent("POST", "", "", body))
    assert refused.value.kind is OAUTH_MALFORMED


@pytest.mark.parametrize("quoted", ['"', "\\", "é", "\0"])
def test_letters_that_must_not_be_in_an_error(house: House, quoted: str) -> None:
    asked = {"response_type": quoted, "client_id": "app", "redirect_uri": BACK, "state": "s"}
    assert house.ask("/oauth/authorize", asked, method="GET").status in (302, 400)
    assert house.token(quoted, status=400)["error"] in ("invalid_request", "invalid_grant")
    assert house.token("x", client=quoted, status=401)["error"] == "invalid_client"


@pytest.mark.parametrize("method", ["S256", "plain", ""])
def test_pkce(house: House, method: str) -> None:
    verifier = "v" * 43
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    challenge = {"code_challenge": digest if method == "S256" else verifier, **({"code_challenge_method": method} if method else {})}
    code = house.code(**challenge)
    assert house.token(code, status=400)["error"] == "invalid_request"
    assert house.token(code, status=400, code_verifier="w" * 43)["error"] == "invalid_grant"
    assert "access_token" in house.token(code, code_verifier=verifier)


def test_a_code_that_comes_twice_ends_what_it_gave(house: House) -> None:
    code = house.code()
    given = house.token(code)
    assert house.token(code, status=400)["error"] == "invalid_grant"
    assert house.key(given["access_token"]) is None
    assert house.refresh(given["refresh_token"], status=400)["error"] == "invalid_grant"
    assert secret_hash(given["access_token"]) in house.gateway.published[-1]


def test_a_refresh_token_is_good_once(house: House) -> None:
    first = house.token(house.code())
    second = house.refresh(first["refresh_token"])
    assert house.key(first["access_token"]) is None
    key = house.key(second["access_token"])
    assert key is not None
    assert (key.rate, key.issued_by) == (5, "one")
    assert house.refresh(first["refresh_token"], status=400)["error"] == "invalid_grant"
    assert house.key(second["access_token"]) is None  # somebody else has it: the whole log-in ends
    assert house.refresh(second["refresh_token"], status=400)["error"] == "invalid_grant"


def test_a_refresh_token_is_its_clients(house: House) -> None:
    given = house.token(house.code())
    assert house.refresh(given["refresh_token"], "robot", status=400)["error"] == "invalid_grant"
    assert "access_token" in house.refresh(given["refresh_token"])


def test_the_limits_of_a_log_in_stay_the_same(house: House) -> None:
    """A client that gets a new token has not got a new quota."""
    first = house.token(house.code())
    before = house.key(first["access_token"])
    after = house.key(house.refresh(first["refresh_token"])["access_token"])
    other = house.key(house.token(house.code())["access_token"])
    assert before is not None
    assert after is not None
    assert other is not None
    assert before.id != after.id
    assert before.quota_counter == after.quota_counter != other.quota_counter


@pytest.mark.parametrize("what", ["code", "refresh"])
def test_two_at_once(house: House, what: str) -> None:
    """Exactly one gets tokens; the other shows that somebody else has them, which ends them."""
    secret = house.code()
    if what == "refresh":
        secret = house.token(secret)["refresh_token"]
    barrier, answers = threading.Barrier(2), []

    def ask() -> None:
        barrier.wait(10)
        fields = {"grant_type": "refresh_token", "refresh_token": secret}
        if what == "code":
            fields = {"grant_type": "authorization_code", "code": secret, "redirect_uri": BACK}
        answers.append(house.ask("/oauth/token", fields, basic=("app", SECRET)))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    won, lost = sorted(answers, key=lambda reply: reply.status)
    assert read(lost, 400)["error"] == "invalid_grant"
    assert house.key(read(won, 200)["access_token"]) is None


def test_an_operator_begins_the_quota_of_a_log_in_again(house: House) -> None:
    token = house.token(house.code())["access_token"]
    key = house.key(token)
    assert key is not None and key.quota_counter != f"q:{key.id}"
    for path, counters in ((f"/api/keys/{key.id}?suppress_reset=1", []), (f"/api/keys/{key.id}", [key.quota_counter])):
        house.operator.json("PUT", path, {**RULES, "quota_max": 5})
        assert house.gateway.reset == counters


def test_a_client_asks_for_itself(house: House) -> None:
    given = read(house.ask("/oauth/token", {"grant_type": "client_credentials"}, basic=("robot", SECRET)), 200)
    assert given.keys() == {"access_token", "expires_in", "token_type"}
    key = house.key(given["access_token"])
    assert key is not None
    assert (key.rate, dict(key.access_rights or {})) == (7, {"one": frozenset()})
    again = house.key(read(house.ask("/oauth/token", {"grant_type": "client_credentials"}, basic=("robot", SECRET)), 200)["access_token"])
    assert again is not None
    assert (again.rate_counter, again.id != key.id) == (key.rate_counter, True)
    refused = house.ask("/oauth/token", {"grant_type": "client_credentials"}, basic=("app", SECRET))
    assert read(refused, 400)["error"] == "unauthorized_client"


def test_a_token_in_the_fragment(house: House) -> None:
    fields = {"response_type": "token", "client_id": "app", "redirect_uri": BACK, "state": "s1", "key_rules": json.dumps(RULES)}
    body = read(house.ask("/tyk/oauth/authorize-client", fields), 200)
    assert body["code"] == ""
    fragment = parse_qs(urlsplit(body["redirect_to"]).fragment)
    assert body["redirect_to"].startswith(BACK)
    assert (fragment["token_type"], fragment["state"], fragment.get("refresh_token")) == (["bearer"], ["s1"], None)
    assert house.key(fragment["access_token"][0]) is not None


def test_a_login_page_must_say_what_the_token_may_do(house: House) -> None:
    asked = {"response_type": "code", "client_id": "app", "redirect_uri": BACK}
    for rules, kind in (("", KEY_RULES_MISSING), ("{", KEY_RULES_INVALID), ('{"rate": "x"}', KEY_RULES_INVALID), ('{"rate": 1e999}', None)):
        with pytest.raises(Refusal) as refused:
            house.ask("/tyk/oauth/authorize-client", {**asked, **({"key_rules": rules} if rules else {})})
        assert refused.value.kind is (kind or KEY_RULES_INVALID)
    unknown = {"access_rights": {"nowhere": {"api_id": "nowhere"}}}
    with pytest.raises(Refusal) as refused:
        house.ask("/tyk/oauth/authorize-client", {**asked, "key_rules": json.dumps(unknown)})
    assert "/access_rights/nowhere" in str(refused.value.detail)


def test_the_policy_of_a_client_says_it_too(house: House) -> None:
    fields = {"response_type": "code", "client_id": "robot", "redirect_uri": BACK}
    code = read(house.ask("/tyk/oauth/authorize-client", fields), 200)["code"]
    key = house.key(house.token(code, "robot")["access_token"])
    assert key is not None
    assert key.rate == 7


def test_rules_without_rights_open_this_api_alone(house: House) -> None:
    """A key without rights would open every API."""
    rules = {"rate": 1, "per": 1, "hmac_enabled": True, "basic_auth_data": {"password": "x"}}
    key = house.key(house.token(house.code(rules=rules))["access_token"])
    assert key is not None
    assert key.access_rights == {"one": frozenset({"Default"})}
    assert not {"hmac_enabled", "hmac_string", "basic_auth_data"} & key.session.keys()


def test_the_login_page_is_told_of_mistakes_itself(house: House) -> None:
    asked = {"response_type": "id_token", "client_id": "app", "redirect_uri": BACK, "key_rules": json.dumps(RULES)}
    assert read(house.ask("/tyk/oauth/authorize-client", asked), 400)["error"] == "unsupported_response_type"
    assert (
        read(house.ask("/tyk/oauth/authorize-client", {**asked, "response_type": "code", "client_id": "x"}), 400)["error"]
        == "invalid_client"
    )


def test_what_an_api_does_not_allow(operator: Operator) -> None:
    house = House(operator)
    meta = {**META, "allowed_access_types": ["authorization_code"], "allowed_authorize_types": ["code"]}
    house.api = compile_api(parse(definition(use_oauth2=True, oauth_meta=meta)), ports(), 1)
    given = house.token(house.code())
    assert "refresh_token" not in given
    refused = house.ask("/oauth/token", {"grant_type": "client_credentials"}, basic=("robot", SECRET))
    assert read(refused, 400)["error"] == "unauthorized_client"
    asked = {"response_type": "token", "client_id": "app", "redirect_uri": BACK, "key_rules": json.dumps(RULES)}
    assert read(house.ask("/tyk/oauth/authorize-client", asked), 400)["error"] == "unauthorized_client"


def test_lifetimes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.made(lifetime=100)
    assert house.token(house.code())["expires_in"] == 100
    ended = house.code(rules={**RULES, "expires": 1})
    assert house.token(ended, status=400)["error"] == "invalid_grant"
    house.operator.json("PUT", "/tyk/policies/basic", {**POLICY, "key_expires_in": 30})
    given = read(house.ask("/oauth/token", {"grant_type": "client_credentials"}, basic=("robot", SECRET)), 200)
    assert given["expires_in"] == 30
    monkeypatch.setattr(tokens, "CODE_LIFETIME", -1)
    assert house.token(house.code(), status=400)["error"] == "invalid_grant"
    house.made(refresh_lifetime=-1)
    monkeypatch.setattr(tokens, "CODE_LIFETIME", 60)
    assert house.refresh(house.token(house.code())["refresh_token"], status=400)["error"] == "invalid_grant"


@pytest.mark.parametrize("what", ["access_token", "refresh_token"])
def test_revoking_a_token(house: House, what: str) -> None:
    given, other = house.token(house.code()), house.token(house.code())
    fields = {"token": given[what], "token_type_hint": "anything", "client_id": "app", "client_secret": SECRET}
    assert read(house.ask("/oauth/revoke", {**fields, "client_id": "robot"}), 200) == {}  # not its own: nothing happens
    assert house.key(given["access_token"]) is not None
    assert read(house.ask("/oauth/revoke", {**fields, "client_secret": "x"}), 401)["error"] == "invalid_client"
    for _ in range(2):  # one that is revoked already is fine
        assert read(house.ask("/oauth/revoke", fields), 200) == {}
    assert house.key(given["access_token"]) is None
    assert house.refresh(given["refresh_token"], status=400) if what == "refresh_token" else house.refresh(given["refresh_token"])
    assert house.key(other["access_token"]) is not None
    assert read(house.ask("/oauth/revoke", {"client_id": "app", "client_secret": SECRET}), 400)["error"] == "invalid_request"


def test_a_plain_key_is_not_revoked(house: House) -> None:
    key = house.operator.json("POST", "/tyk/keys/create", RULES)["key"]
    fields = {"token": key, "client_id": "app", "client_secret": SECRET}
    assert read(house.ask("/oauth/revoke", fields), 200) == {}
    assert house.key(key) is not None


def test_revoking_all(house: House) -> None:
    given, code = house.token(house.code()), house.code()
    robots = read(house.ask("/oauth/token", {"grant_type": "client_credentials"}, basic=("robot", SECRET)), 200)
    assert read(house.ask("/oauth/revoke_all", {"client_id": "app", "client_secret": "x"}), 401)["error"] == "invalid_client"
    assert read(house.ask("/oauth/revoke_all", {"client_id": "app", "client_secret": SECRET}), 200)["status"] == "ok"
    assert house.key(given["access_token"]) is None
    assert house.token(code, status=400)["error"] == "invalid_grant"
    assert house.key(robots["access_token"]) is not None


def test_a_client_of_another_api_or_owner_is_unknown(house: House) -> None:
    for changes in ({"api_id": "two"}, {"org_id": "other"}):
        house.api = compile_api(parse(definition(use_oauth2=True, oauth_meta=META, **changes)), ports(), 1)
        asked = {"response_type": "code", "client_id": "app", "redirect_uri": BACK}
        assert read(house.ask("/oauth/authorize", asked, method="GET"), 400)["error"] == "invalid_client"


@pytest.mark.parametrize("gone", ["deleted", "moved"])
def test_an_api_that_goes_while_a_token_is_given(house: House, gone: str) -> None:
    if gone == "deleted":
        house.operator.json("DELETE", "/api/apis/one")
    else:
        moved = definition(use_oauth2=True, oauth_meta=META, org_id="other")
        house.operator.json("PUT", "/api/apis/one", {"api_definition": moved})
    # The worker has judged the request before, by the definition that it had then.
    asked = house.ask("/oauth/token", {"grant_type": "client_credentials"}, basic=("robot", SECRET))
    assert read(asked, 400)["error"] == "invalid_grant"
    assert house.gateway.oauth_store.tokens("robot", 10) == []


def test_an_api_that_moves_to_another_organisation_takes_no_tokens_with_it(house: House) -> None:
    token = house.token(house.code())["access_token"]
    document = definition(use_oauth2=True, oauth_meta=META, name="Renamed")
    house.operator.json("PUT", "/api/apis/one", {"api_definition": document})
    assert house.key(token) is not None
    house.operator.json("PUT", "/api/apis/one", {"api_definition": {**document, "org_id": "other"}})
    assert house.key(token) is None
    assert house.gateway.published[-1] == {secret_hash(token)}


def test_notifications(operator: Operator) -> None:
    house = House(operator, notifications={"oauth_on_keychange_url": "https://told.example/n", "shared_secret": "s3"})
    code = house.code()
    first = house.token(code)
    second = house.refresh(first["refresh_token"])
    with house.gateway.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT id, url, body, headers, event FROM deliveries ORDER BY created_at").all()
    bodies = [json.loads(house.gateway.oauth_store.notification(row.id) or "") for row in rows]
    assert bodies == [
        {
            "auth_code": code,
            "new_oauth_token": first["access_token"],
            "refresh_token": first["refresh_token"],
            "old_refresh_token": "",
            "notification_type": "new",
        },
        {
            "auth_code": "",
            "new_oauth_token": second["access_token"],
            "refresh_token": second["refresh_token"],
            "old_refresh_token": first["refresh_token"],
            "notification_type": "refresh",
        },
    ]
    assert [(row.url, row.body) for row in rows] == [("https://told.example/n", "")] * 2
    assert "X-Tyk-Shared-Secret" in str(rows[0].headers)
