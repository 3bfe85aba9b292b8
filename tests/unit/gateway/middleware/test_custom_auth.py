"""Who calls, as a script says: a session that is checked, or a refusal; never a pass without either."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.gateway.compiler import lint
from services.gateway.definitions.reader import Mistakes
from services.gateway.exchange import Exchange
from services.gateway.middleware import custom_auth
from services.gateway.refusals import SCRIPT_FAILED, SCRIPT_NOT_AUTHORISED
from services.gateway.scripts.scripts import Scripts
from tests.unit.gateway.exchanges import KnownKeys, ask, built, definition, mistakes, ports, refusal, spec
from tests.unit.gateway.scripted import request

CHECK = """var one = new TykJS.TykMiddleware.NewMiddleware({});
one.NewProcessRequest(function (request, session, config) { %s });"""
ASKED = {"custom_plugin_auth_enabled": True}


def checked(folder: Path, body: str, keys: KnownKeys | None = None, **more: Any) -> Any:
    """The check of a definition whose script runs this."""
    (folder / "one.js").write_text(CHECK % body)
    more = {"custom_middleware": {"auth_check": {"name": "one", "path": "one.js"}}, **ASKED, **more}
    return built(custom_auth, replace(ports(keys), scripts=Scripts(folder)), **more)


def accepting(folder: Path, session: str, keys: KnownKeys | None = None, **more: Any) -> Any:
    return checked(folder, f"return one.ReturnAuthData(request, {session})", keys, **more)


def let_in(rule: Any, made: Exchange) -> Any:
    assert ask(rule, made) is None
    assert made.key is not None
    return made.key


def test_without_it_no_script_is_asked() -> None:
    assert spec(custom_auth) is None
    assert spec(custom_auth, use_keyless=True, **ASKED) is None


@pytest.mark.parametrize("later", [False, True])
def test_a_session_is_the_key_of_the_request(tmp_path: Path, later: bool) -> None:
    session = "{rate: 5, per: 10, quota_max: 7, quota_renewal_rate: 60, alias: 'Ann', access_rights: {api: {versions: ['Default']}}}"
    found = let_in(accepting(tmp_path, session, KnownKeys(later=later)), request())
    assert (found.rate, found.per, found.quota_max, found.alias, found.org_id) == (5, 10, 7, "Ann", "default")
    assert found.access_rights == {"api": frozenset({"Default"})}


def test_who_is_named_alike_shares_limits(tmp_path: Path) -> None:
    named = "{key_id: request.Headers['X-Who'][0], rate: 5, per: 1}"
    rule = accepting(tmp_path, named)
    ids = [let_in(rule, request("GET", "/api/", ("X-Who", who))).rate_counter for who in ("a", "b", "a")]
    assert ids[0] == ids[2] != ids[1]
    by_value = checked(tmp_path, "var out = one.ReturnAuthData(request, {}); out.AuthValue = 'a'; return out")
    assert let_in(by_value, request()).rate_counter == ids[0]
    assert let_in(accepting(tmp_path, "{meta_data: {token: 'a'}}"), request()).rate_counter == ids[0]


def test_who_is_not_named_shares_the_limits_of_the_api(tmp_path: Path) -> None:
    one = let_in(accepting(tmp_path, "{alias: 'a'}"), request())
    other = let_in(accepting(tmp_path, "{alias: 'b'}"), request())
    elsewhere = let_in(accepting(tmp_path, "{}", api_id="other"), request())
    assert one.rate_counter == other.rate_counter != elsewhere.rate_counter


def test_a_name_is_not_shown(tmp_path: Path) -> None:
    """It is often the secret that the client sent."""
    found = let_in(accepting(tmp_path, "{key_id: 's3cret'}"), request())
    assert "s3cret" not in f"{found}"


def test_the_same_session_is_one_key(tmp_path: Path) -> None:
    """What later stages remember of it stays warm; what only counts does not make another one."""
    rule = accepting(tmp_path, "{quota_renews: Date.now(), last_check: Math.random(), rate: 1, per: 1}")
    assert let_in(rule, request()) is let_in(rule, request())


def test_it_cannot_say_of_which_organisation_a_key_is(tmp_path: Path) -> None:
    assert let_in(accepting(tmp_path, "{org_id: 'other'}", org_id="mine"), request()).org_id == "mine"


def test_policies(tmp_path: Path) -> None:
    rule = accepting(tmp_path, "{apply_policies: ['gold']}", KnownKeys(policies=["gold"]))
    assert let_in(rule, request()).session["apply_policies"] == ["gold"]
    refusal(accepting(tmp_path, "{apply_policies: ['none']}", KnownKeys(policies=["gold"])), request(), SCRIPT_FAILED)


@pytest.mark.parametrize(
    "session",
    [
        "{rate: 'many'}",
        "{acces_rights: {api: {}}}",
        "{access_rights: []}",
        "{access_rights: {api: 5}}",
        "{tags: 'a'}",
        "{Rate: 5, rate: 0}",
        "{meta_data: 'a'}",
        "{meta_data: {a: JSON.parse('['.repeat(900) + ']'.repeat(900))}}",
        "[]",
        "[{}]",
        "null",
        "5",
        "undefined",
    ],
)
def test_an_unsound_session_is_a_fault(tmp_path: Path, session: str) -> None:
    refusal(accepting(tmp_path, session), request(), SCRIPT_FAILED)


@pytest.mark.parametrize(
    "body",
    ["return one.ReturnData(request, {})", "return request", "return", "undefined.x", "return one.ReturnAuthData(request)"],
)
def test_neither_a_session_nor_a_refusal_is_a_fault(tmp_path: Path, body: str) -> None:
    refusal(checked(tmp_path, body), request(), SCRIPT_FAILED)


def test_a_refusal_is_told_of_as_a_failed_authentication(tmp_path: Path) -> None:
    body = "request.ReturnOverrides.ResponseCode = 401; request.ReturnOverrides.ResponseError = 'who?'; return one.ReturnData(request, {})"
    found = refusal(checked(tmp_path, body), request(), SCRIPT_NOT_AUTHORISED)
    assert (found.status, found.message, found.kind.event) == (401, "who?", "AuthFailure")
    refusal(checked(tmp_path, body.replace("ReturnData(request, {})", "ReturnAuthData(request, {})")), request(), SCRIPT_NOT_AUTHORISED)


def test_it_sees_the_body_and_changes_the_request(tmp_path: Path) -> None:
    body = "request.SetHeaders['X-Body'] = request.Body; return one.ReturnAuthData(request, {})"
    made = request("POST", body=b"signed")
    let_in(checked(tmp_path, body), made)
    assert (made.fields[b"x-body"], made.body) == (b"signed", b"signed")


def test_the_envelope_of_a_batch_is_not_read(tmp_path: Path) -> None:
    made = request("POST", "/api/tyk/batch/", body=b"{}")
    assert made.api is not None
    made.api = replace(made.api, batch=True)
    let_in(accepting(tmp_path, "{key_id: request.Body}"), made)
    assert made.body is None


def test_what_it_checked_can_be_kept_from_the_upstream(tmp_path: Path) -> None:
    made = request("GET", "/api/", ("X-Token", "s3cret"))
    let_in(accepting(tmp_path, "{}", strip_auth_data=True, auth={"auth_header_name": "X-Token"}), made)
    assert made.drop_headers == {b"x-token"}


@pytest.mark.parametrize(("base", "counts"), [({}, False), ({"base_identity_provided_by": "custom_auth"}, True)])
def test_beside_keys(tmp_path: Path, base: Mapping[str, str], counts: bool) -> None:
    made = request()
    ask(accepting(tmp_path, "{alias: 'a'}", use_standard_auth=True, **base), made)
    assert (made.key is not None, len(made.further_keys)) == (counts, 0 if counts else 1)


@pytest.mark.parametrize("mode", ["enable_coprocess_auth", "custom_plugin_auth_enabled"])
def test_it_is_asked_only_where_the_definition_says_so(tmp_path: Path, mode: str) -> None:
    script = {"auth_check": {"name": "one", "path": "one.js"}}
    assert mistakes(custom_auth, custom_middleware=script, **{mode: True}) == []
    assert mistakes(custom_auth, custom_middleware=script) == ["/custom_middleware/auth_check"]
    assert mistakes(custom_auth, custom_middleware=script, use_keyless=True, **{mode: True}) == ["/custom_middleware/auth_check"]
    assert mistakes(custom_auth, custom_middleware={"driver": "python"}, **{mode: True}) == [f"/{mode}"]
    assert mistakes(custom_auth, use_keyless=True, **{mode: True}) == []
    with pytest.raises(Mistakes) as error:
        built(custom_auth, replace(ports(), scripts=Scripts(tmp_path)), **{mode: True})
    assert [one.pointer for one in error.value.mistakes] == ["/custom_plugin_auth_enabled"]


def test_a_cache_of_sessions_is_warned_of() -> None:
    script = {"auth_check": {"name": "one", "path": "one.js"}, "id_extractor": {"extract_from": "header", "extract_with": "value"}}
    assert [one.pointer for one in lint(definition(custom_middleware=script, **ASKED))] == ["/custom_middleware/id_extractor"]
    assert lint(definition(custom_middleware={**script, "id_extractor": {"extract_from": ""}}, **ASKED)) == []


PYTHON = """def one(request, session, config):
    {}
"""


@pytest.mark.parametrize(
    ("line", "passes"),
    [
        ("return {'key_id': 'a', 'rate': 5, 'per': 1}", True),
        ("return", False),
        ("request['ReturnOverrides']['ResponseCode'] = 401; return {}", False),
    ],
)
def test_in_python(tmp_path: Path, line: str, passes: bool) -> None:
    rule = in_python(tmp_path, line)
    made = request()
    if passes:
        let_in_by_python(rule, made)
        assert made.key is not None
        assert made.key.rate == 5
    else:
        refusal(Ending(rule), made, SCRIPT_NOT_AUTHORISED)


@pytest.mark.parametrize("line", ["return request", "return request, session", "return 5", "return True", "1 / 0"])
def test_faults_in_python(tmp_path: Path, line: str) -> None:
    refusal(Ending(in_python(tmp_path, line)), request(), SCRIPT_FAILED)


def in_python(folder: Path, line: str) -> Any:
    (folder / "one.py").write_text(PYTHON.format(line))
    scripts = {"driver": "python", "auth_check": {"name": "one", "path": "one.py"}}
    return built(custom_auth, replace(ports(), scripts=Scripts(folder, seconds=20)), custom_middleware=scripts, **ASKED)


class Ending:
    """A rule whose process ends with each request: each has a loop of its own."""

    def __init__(self, rule: Any) -> None:
        self._rule = rule

    async def on_request(self, made: Exchange) -> Any:
        try:
            return await self._rule.on_request(made)
        finally:
            self._rule._running.end()


def let_in_by_python(rule: Any, made: Exchange) -> None:
    assert asyncio.run(Ending(rule).on_request(made)) is None
