"""OAuth2 through real sockets: each grant with the clients that people use, and what guards the endpoints."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from oauthlib.oauth2 import BackendApplicationClient, MobileApplicationClient
from requests_oauthlib import OAuth2Session

from tests.support.gateway import OPERATOR_KEY, Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.stores import Valkey
from tests.support.waiting import wait_until
from tests.support.webhook_receiver import Receiver, receiving

BACK = "https://app.example/cb"
META = {
    "allowed_access_types": ["authorization_code", "refresh_token", "client_credentials"],
    "allowed_authorize_types": ["code", "token"],
    "auth_login_redirect": "https://login.example/in",
}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def apis(upstream: str, receiver: Receiver) -> list[dict[str, Any]]:
    def asking(name: str, **more: Any) -> dict[str, Any]:
        return definition(name, upstream, use_keyless=False, use_oauth2=True, oauth_meta=META, **more)

    versions = {"v1": {"name": "v1", "expires": ""}}
    return [
        asking("shop", notifications={"oauth_on_keychange_url": f"{receiver.url}/told", "shared_secret": "s3"}, strip_auth_data=True),
        asking("other"),
        asking("closed", enable_ip_whitelisting=True, allowed_ips=["192.0.2.1"]),
        asking("batch", enable_batch_request_support=True, version={"paths": {"white_list": ["/only"]}}),
        asking(
            "versions",
            definition={"location": "url", "strip_path": True},
            version_data={"not_versioned": False, "versions": versions},
        ),
        definition("plain", upstream, use_keyless=False),
    ]


@pytest.fixture(scope="module", params=["one-worker-sqlite", "two-workers-postgresql-valkey"])
def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, odd_upstream: OddUpstream, receiver: Receiver
) -> Iterator[Gateway]:
    env = {}
    if request.param.startswith("two"):
        valkey: Valkey = request.getfixturevalue("valkey_server")
        postgresql = request.getfixturevalue("postgresql")
        env = {"GATEWAY_DATABASE_URL": postgresql.new_database(), "VALKEY_URL": valkey.url, "GATEWAY_WORKERS": "2"}
    with gateway(tmp_path_factory.mktemp("oauth"), apis(f"{odd_upstream.url}/", receiver), env) as running:
        running.operator("POST", "/tyk/policies", {"id": "robots", "rate": 100, "per": 1, "access_rights": {"shop": {"api_id": "shop"}}})
        yield running


@pytest.fixture(autouse=True)
def upstream(odd_upstream: OddUpstream) -> list[dict[str, str]]:
    """The header fields of the requests that the upstream got."""
    seen: list[dict[str, str]] = []

    def answer(request: Any) -> None:
        seen.append({name.lower(): value for name, value in request.fields})
        request.answer(b"ok")

    odd_upstream.on("/things", answer)
    return seen


def new_client(shop: Gateway, api: str = "shop", **more: Any) -> tuple[str, str]:
    status, made = shop.operator("POST", "/tyk/oauth/clients/create", {"api_id": api, "redirect_uri": BACK, **more})
    assert status == 200, made
    return made["client_id"], made["secret"]


def log_in(shop: Gateway, asked: str, api: str = "shop") -> str:
    """Be the user's browser and the login page: from the client's URL to where the user comes back."""
    sent_to = requests.get(asked, allow_redirects=False, timeout=30)
    assert sent_to.status_code == 307, sent_to.text
    there = urlsplit(sent_to.headers["location"])
    assert (there.netloc, there.path) == ("login.example", "/in")
    rules = {"rate": 100, "per": 1, "access_rights": {api: {"api_id": api, "versions": ["Default", "v1"]}}, "alias": "eve"}
    fields = {name: value[0] for name, value in parse_qs(there.query).items()} | {"key_rules": json.dumps(rules)}
    headers = {"x-tyk-authorization": OPERATOR_KEY}
    answer = requests.post(f"{shop.url}/{api}/tyk/oauth/authorize-client/", fields, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["redirect_to"])


def things(shop: Gateway, token: str, api: str = "shop") -> int:
    return requests.get(f"{shop.url}/{api}/things", headers={"Authorization": f"Bearer {token}"}, timeout=30).status_code


@pytest.fixture(autouse=True)
def plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clients refuse to send secrets over plain HTTP unless they are told that it is a test."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


@pytest.mark.parametrize("pkce", [None, "S256"])
def test_a_code_and_its_refreshes_with_requests_oauthlib(shop: Gateway, upstream: list[dict[str, str]], pkce: str | None) -> None:
    id, secret = new_client(shop)
    renewed: list[dict[str, Any]] = []
    token_url = f"{shop.url}/shop/oauth/token/"
    session = OAuth2Session(
        id, redirect_uri=BACK, pkce=pkce, auto_refresh_url=token_url,
        auto_refresh_kwargs={"client_id": id, "client_secret": secret}, token_updater=renewed.append,
    )  # fmt: skip
    asked, state = session.authorization_url(f"{shop.url}/shop/oauth/authorize/")
    back = log_in(shop, asked)
    assert parse_qs(urlsplit(back).query)["state"] == [state]
    first = session.fetch_token(token_url, authorization_response=back, client_secret=secret)
    assert session.get(f"{shop.url}/shop/things", timeout=30).text == "ok"
    assert "authorization" not in upstream[-1]  # strip_auth_data
    session.token = {**first, "expires_in": -10, "expires_at": 1}
    assert session.get(f"{shop.url}/shop/things", timeout=30).text == "ok"
    assert renewed[0]["access_token"] != first["access_token"]
    assert things(shop, first["access_token"]) == 403


def test_a_code_with_authlib(shop: Gateway) -> None:
    id, secret = new_client(shop)
    session = AuthlibSession(id, secret, redirect_uri=BACK, code_challenge_method="S256", scope="read")
    asked, _ = session.create_authorization_url(f"{shop.url}/shop/oauth/authorize", code_verifier="v" * 48)
    session.fetch_token(f"{shop.url}/shop/oauth/token", authorization_response=log_in(shop, asked), code_verifier="v" * 48)
    assert session.get(f"{shop.url}/shop/things", timeout=30).text == "ok"
    token = session.token["access_token"]
    session.refresh_token(f"{shop.url}/shop/oauth/token", session.token["refresh_token"])
    assert (things(shop, token), things(shop, session.token["access_token"])) == (403, 200)
    session.revoke_token(f"{shop.url}/shop/oauth/revoke", session.token["access_token"], token_type_hint="access_token")
    assert things(shop, session.token["access_token"]) == 403


def test_a_client_for_itself(shop: Gateway) -> None:
    id, secret = new_client(shop, policy_id="robots")
    oauthlib = OAuth2Session(client=BackendApplicationClient(id))
    oauthlib.fetch_token(f"{shop.url}/shop/oauth/token/", client_id=id, client_secret=secret)
    authlib = AuthlibSession(id, secret)
    authlib.fetch_token(f"{shop.url}/shop/oauth/token/", grant_type="client_credentials")
    for session in (oauthlib, authlib):
        assert session.get(f"{shop.url}/shop/things", timeout=30).text == "ok"
    revoked = requests.post(f"{shop.url}/shop/oauth/revoke_all/", {"client_id": id, "client_secret": secret}, timeout=30)
    assert revoked.status_code == 200
    assert [things(shop, session.token["access_token"]) for session in (oauthlib, authlib)] == [403, 403]


def test_a_token_in_the_fragment(shop: Gateway) -> None:
    id, _ = new_client(shop)
    session = OAuth2Session(client=MobileApplicationClient(id), redirect_uri=BACK)
    asked, _ = session.authorization_url(f"{shop.url}/shop/oauth/authorize/")
    session.token_from_fragment(log_in(shop, asked))
    assert session.get(f"{shop.url}/shop/things", timeout=30).text == "ok"


def fetch(shop: Gateway, api: str = "shop") -> tuple[str, str, dict[str, Any], str]:
    """Return a client, its secret, its tokens, and their code."""
    id, secret = new_client(shop, api)
    query = urlencode({"response_type": "code", "client_id": id, "redirect_uri": BACK})
    code = parse_qs(urlsplit(log_in(shop, f"{shop.url}/{api}/oauth/authorize/?{query}", api)).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK}
    answer = requests.post(f"{shop.url}/{api}/oauth/token/", form, auth=(id, secret), timeout=30)
    assert answer.status_code == 200, answer.text
    assert (answer.headers["cache-control"], answer.headers["content-type"]) == ("no-store", "application/json")
    assert answer.headers["x-request-id"]
    return id, secret, answer.json(), code


def test_a_token_opens_no_other_api_and_no_other_key_this_one(shop: Gateway) -> None:
    _, _, tokens, _ = fetch(shop)
    key = shop.operator("POST", "/tyk/keys/create", {"rate": 1, "per": 1, "access_rights": {"shop": {"api_id": "shop"}}})[1]["key"]
    assert [things(shop, tokens["access_token"], api) for api in ("shop", "other")] == [200, 403]
    refused = requests.get(f"{shop.url}/shop/things", headers={"Authorization": f"Bearer {key}"}, timeout=30)
    assert (refused.status_code, refused.json()["error"]) == (403, "Key not authorised")
    missing = requests.get(f"{shop.url}/shop/things", timeout=30)
    assert (missing.status_code, missing.json()["error"]) == (400, "Authorization field missing")
    assert missing.headers["www-authenticate"].startswith("Bearer ")


def test_two_with_one_code_at_once(shop: Gateway) -> None:
    """Over two connections, and so perhaps two workers."""
    id, secret = new_client(shop)
    query = urlencode({"response_type": "code", "client_id": id, "redirect_uri": BACK})
    code = parse_qs(urlsplit(log_in(shop, f"{shop.url}/shop/oauth/authorize/?{query}")).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK}
    barrier, statuses = threading.Barrier(6), []

    def ask() -> None:
        barrier.wait(10)
        statuses.append(requests.post(f"{shop.url}/shop/oauth/token/", form, auth=(id, secret), timeout=30).status_code)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(statuses) == [200, 400, 400, 400, 400, 400]


def test_a_client_that_is_deleted_has_no_tokens_any_more(shop: Gateway) -> None:
    id, secret, tokens, _ = fetch(shop)
    assert [things(shop, tokens["access_token"]) for _ in range(4)] == [200] * 4
    listed = shop.operator("GET", f"/tyk/oauth/clients/shop/{id}/tokens")[1]
    assert len(listed) == 1
    assert shop.operator("DELETE", f"/api/apis/oauth/shop/{id}")[1]["Message"] == "OAuth Client deleted successfully"
    assert [things(shop, tokens["access_token"]) for _ in range(4)] == [403] * 4
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert requests.post(f"{shop.url}/shop/oauth/token/", form, auth=(id, secret), timeout=30).status_code == 401


def test_an_api_that_is_deleted_and_comes_back_knows_no_former_token(shop: Gateway) -> None:
    _, _, tokens, _ = fetch(shop, "other")
    assert things(shop, tokens["access_token"], "other") == 200
    internal = shop.operator("GET", "/api/apis/other")[1]["api_definition"]["id"]
    assert shop.operator("DELETE", "/api/apis/other")[0] == 200
    assert things(shop, tokens["access_token"], "other") == 404
    assert shop.operator("POST", f"/api/gatehouse/apis/{internal}/undo")[0] == 200
    assert things(shop, tokens["access_token"], "other") == 403


def test_the_receiver_of_notifications(shop: Gateway, receiver: Receiver) -> None:
    _, _, tokens, code = fetch(shop)
    found = wait_until(lambda: [call for call in receiver.calls if tokens["access_token"].encode() in call.body], 30, "the call")
    assert found
    assert json.loads(found[0].body) == {
        "auth_code": code,
        "new_oauth_token": tokens["access_token"],
        "refresh_token": tokens["refresh_token"],
        "old_refresh_token": "",
        "notification_type": "new",
    }
    headers = {name.lower(): value for name, value in found[0].headers.items()}
    assert headers["x-tyk-shared-secret"] == "s3"
    id = headers["webhook-id"]
    assert shop.operator("GET", f"/api/gatehouse/deliveries/{id}")[1]["body"] == ""
    status, listed = shop.operator("GET", "/api/gatehouse/deliveries?hook_id=oauth-notifications")
    assert status == 200
    assert id in json.dumps(listed)
    assert tokens["access_token"] not in json.dumps(listed)


def test_no_secret_lies_in_the_database_or_in_a_log(shop: Gateway) -> None:
    id, secret, tokens, code = fetch(shop)
    shop.operator("DELETE", f"/tyk/oauth/refresh/{tokens['refresh_token']}")
    assert things(shop, tokens["access_token"]) == 403
    written = shop.process.text() + shop.access_log.read_text()
    url = shop.env["GATEWAY_DATABASE_URL"]
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
            written += "\n".join(database.iterdump())
        assert id in written
    for one in (secret, tokens["access_token"], tokens["refresh_token"], code):
        assert one not in written


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/shop/oauth/token/", 405),
        ("PUT", "/shop/oauth/authorize/", 405),
        ("POST", "/shop/tyk/oauth/authorize-client/", 403),
        ("POST", "/closed/oauth/token/", 403),
        ("GET", "/closed/oauth/authorize/", 403),
        ("POST", "/versions/oauth/token/", 403),  # below the version
        ("POST", "/versions/v1/oauth/token/", 401),
        ("POST", "/batch/oauth/token", 401),  # a white list does not count
        ("POST", "/shop/x/../oauth//token", 401),
        ("POST", "/shop/oauth%2Ftoken/", 404),
        ("POST", "/shop/oauth%5Ctoken", 404),
        ("POST", "/shop/tyk%2foauth/authorize-client/", 404),
        ("POST", "/versions/v1%2Foauth/token", 404),
        ("POST", "/plain/oauth/token/", 401),  # of an API without OAuth2 they are paths like any other
    ],
)
def test_what_guards_the_endpoints(shop: Gateway, method: str, path: str, status: int) -> None:
    prepared = requests.Request(method, shop.url, data={"grant_type": "client_credentials"}).prepare()
    prepared.url = shop.url + path
    with requests.Session() as session:
        answer = session.send(prepared, timeout=30, allow_redirects=False)
    assert answer.status_code == status, answer.text


def test_a_batch_carries_nothing_to_the_endpoints(shop: Gateway) -> None:
    entries = [
        {"method": "POST", "relative_url": path, "body": "grant_type=client_credentials"}
        for path in ("oauth/token/", "/oauth/token", "tyk/oauth/authorize-client", "oauth%2Ftoken")
    ]
    answer = requests.post(f"{shop.url}/batch/tyk/batch/", json={"requests": entries}, timeout=30)
    assert [one["code"] for one in answer.json()] == [404] * 4


def test_a_large_form(shop: Gateway) -> None:
    answer = requests.post(f"{shop.url}/shop/oauth/token/", data={"a": "x" * 70_000}, timeout=30)
    assert answer.status_code == 413
