"""Who asks, by which header, and what they may do."""

from __future__ import annotations

import pytest

from tests.support.fake_auth import FakeAuth
from tests.unit.devices.conftest import (
    ACC,
    ACC2,
    ACC_READ,
    ACC_WRITE,
    ANALYSIS,
    ANALYSIS_READ,
    API,
    NETWORK,
    MadeDevice,
    MakeAPI,
    refused,
    result,
)

DENIED = "Authorization denied"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One store is enough: what is tested here asks none, or only for what other tests ask both."""
    return sqlite_url


@pytest.mark.parametrize("header", ["Account-Token", "Profile-Token", "Token", "Authorization", "Authentication", "authorized"])
def test_an_account_token_in_its_headers(sqlite_api: API, header: str) -> None:
    for token in (ACC, f"Bearer {ACC}"):
        result(sqlite_api.get("/device", None, headers={header: token}))


@pytest.mark.parametrize("header", ["Device-Token", "Token", "Authorization", "Authentication"])
def test_a_device_token_in_its_headers(sqlite_api: API, sqlite_device: MadeDevice, header: str) -> None:
    token = sqlite_device.token
    for shown in (token, token.upper(), f"bearer {token}"):
        assert result(sqlite_api.get("/info", None, headers={header: shown}))["id"] == sqlite_device.id


def test_a_typed_header_takes_only_its_own_type(api: API) -> None:
    made = api.device()
    for header, token, path in (
        ("Account-Token", made.token, "/device"),
        ("Account-Token", made.token, "/info"),
        ("Device-Token", ACC, "/device"),
        ("Analysis-Token", ACC, "/device"),
        ("Account-Token", ANALYSIS, "/device"),
        ("Middleware-Token", ACC, "/integration/network/resolve/x"),
        ("Account-Token", NETWORK, "/integration/network/resolve/x"),
    ):
        refused(api.get(path, None, headers={header: token}), 401, DENIED)


def test_two_tokens_that_differ_are_refused(api: API) -> None:
    made = api.device()
    for path in ("/info", "/data"):
        refused(api.get(path, None, headers={"Device-Token": made.token, "Account-Token": ACC}), 401, DENIED)
    refused(api.get("/info", made.token, headers={"Authorization": ACC}), 401, DENIED)
    result(api.get("/info", made.token, headers={"Device-Token": made.token, "Authorization": f"Bearer {made.token}"}))


@pytest.mark.parametrize(
    "token",
    [None, "", "x", "gh_acc_unknown", "00000000-0000-0000-0000-000000000000", "a.b.c", "gh_" + "x" * 9000, "é", "Bearer"],
)
def test_no_token_or_an_unknown_one_is_denied(sqlite_api: API, token: str | None) -> None:
    headers = {} if token is None else {"Authorization": token.encode().decode("latin-1")}
    for path in ("/info", "/device", "/device/params", "/integration/network/resolve/x"):
        refused(sqlite_api.get(path, None, headers=headers), 401, DENIED)


def test_a_wrong_body_does_not_come_before_the_token(sqlite_api: API) -> None:
    refused(sqlite_api.send("POST", "/device", data=b"{"), 401, DENIED)
    refused(sqlite_api.get("/device", None, query_string={"page": "x"}), 401, DENIED)


def test_a_live_token_of_the_wrong_type_or_permission_is_forbidden(api: API) -> None:
    made = api.device()
    new = {"name": "a device", "type": "mutable"}
    for answer in (
        api.get("/device", made.token),
        api.get("/info", ACC),
        api.get("/device", NETWORK),
        api.post("/device", new, ACC_READ),
        api.get("/device", ACC_WRITE),
        api.delete(f"/device/{made.id}", ACC_READ),
        api.put(f"/device/{made.id}", {}, ACC_READ),
    ):
        refused(answer, 403, DENIED)
    result(api.get(f"/device/{made.id}", ACC_READ))
    result(api.post("/device", new, ACC_WRITE), 201)


def test_permissions_of_device_tokens(api: API) -> None:
    made = api.device()
    result(api.post(f"/device/{made.id}/params", {"key": "a", "value": "b"}), 201)
    (param,) = result(api.get("/device/params", made.token))
    for permission, reads, writes in (("read", 200, 403), ("write", 403, 200), ("full", 200, 200)):
        token = result(api.post("/device/token", {"device": made.id, "name": "x", "permission": permission}), 201)["token"]
        assert api.get("/device/params", token).status_code == reads
        assert api.put(f"/device/params/{param['id']}", None, token).status_code == writes


def test_an_analysis_does_what_its_policy_says(api: API, house: FakeAuth) -> None:
    one, other = api.device("the one"), api.device("the other")

    def analysis(name: str, **policy: list[str]) -> str:
        return house.add(f"gh_ana_{name}", "one", "analysis", policy={key.replace("_", ":"): actions for key, actions in policy.items()})

    only = analysis("only", **{f"device_{one.id}": ["access", "edit"]})
    result(api.get(f"/device/{one.id}", only))
    result(api.put(f"/device/{one.id}", {"name": "the one"}, only))
    result(api.post(f"/device/{one.id}/params", {"key": "a", "value": "b"}, only), 201)
    assert [found["name"] for found in result(api.get("/device", only))] == ["the one"]
    for answer in (
        api.get(f"/device/{other.id}", only),
        api.put(f"/device/{other.id}", {}, only),
        api.delete(f"/device/{one.id}", only),
        api.post("/device", {"name": "a third", "type": "mutable"}, only),
        api.delete(f"/device/token/{other.token}", only),
    ):
        refused(answer, 403, DENIED)
    creates = analysis("creates", device=["create"])
    made = api.device("a third", by=creates)
    refused(api.get(f"/device/{made.id}", creates), 403, DENIED)
    assert result(api.get("/device", creates)) == []
    removes = analysis("removes", device=["delete"])
    refused(api.put(f"/device/{made.id}", {}, removes), 403, DENIED)
    result(api.delete(f"/device/{made.id}", removes))
    everything = analysis("everything")
    house.add(everything, "one", "analysis", policy={"*": ["*"]})
    result(api.get(f"/device/{other.id}", everything))
    result(api.delete(f"/device/{other.id}", everything))
    house.add(everything, "one", "analysis", policy={"dashboard": ["*"], "device:": ["*"]})
    api.clock.move(5)
    refused(api.get(f"/device/{one.id}", everything), 403, DENIED)


def test_a_policy_does_not_widen_the_permission(api: API, house: FakeAuth) -> None:
    made = api.device()
    token = house.add("gh_ana_narrow", "one", "analysis", "read", policy={"*": ["*"]})
    result(api.get(f"/device/{made.id}", token))
    refused(api.put(f"/device/{made.id}", {}, token), 403, DENIED)
    refused(api.delete(f"/device/{made.id}", ANALYSIS_READ), 403, DENIED)


def test_an_analysis_sees_only_its_own_account(api: API) -> None:
    made = api.device(by=ACC2)
    refused(api.get(f"/device/{made.id}", ANALYSIS), 404, "Invalid Device ID")


def test_a_token_in_the_query_string_only_where_the_settings_say_so(make_api: MakeAPI) -> None:
    api = make_api()
    made = api.device()
    refused(api.get("/info", None, query_string={"device_token": made.token}), 401, DENIED)
    told = make_api(query_tokens=True)
    for name in ("device-token", "device_token", "token", "authorization"):
        result(told.get("/info", None, query_string={name: made.token}))
    refused(told.get("/info", None, query_string={"token": made.token}, headers={"Account-Token": ACC}), 401, DENIED)


def test_auth_away_is_said(make_api: MakeAPI) -> None:
    api = make_api(auth_url="http://127.0.0.1:9")
    answer = api.get("/device")
    refused(answer, 503, "Authorization cannot be checked now; try again")
    assert answer.headers["Retry-After"] == "1"


def test_a_device_token_needs_no_auth(make_api: MakeAPI) -> None:
    made = make_api().device()
    result(make_api(auth_url="http://127.0.0.1:9").get("/info", made.token))
