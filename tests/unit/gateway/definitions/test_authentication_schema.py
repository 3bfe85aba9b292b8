"""Which ways of authentication a definition asks for, and whose limits count; and a request that passes several of them."""

from __future__ import annotations

import base64
import email.utils
import hmac
from typing import Any

import pytest

from services.gateway.compiler import lint
from services.gateway.definitions.model import Mode, Places, Way
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.keys.model import Key, secret_hash, user_hash
from services.gateway.keys.passwords import hash_password
from services.gateway.middleware import access_rights, auth_key, basic_auth, certificate_key, hmac_signature, key_state
from services.gateway.refusals import ACCESS_DENIED, KEY_EXPIRED, KEY_INACTIVE, KEY_MISSING, RefusalKind
from tests.unit.gateway.exchanges import KnownKeys, Time, ask, built, definition, document, exchange, make_key, ports, refusal

ALL = {"use_basic_auth": True, "enable_signature_checking": True, "use_standard_auth": True}


def mistakes(**more: Any) -> list[str]:
    return [mistake.pointer for mistake in DefinitionReader(document(**more)).report.mistakes]


@pytest.mark.parametrize(
    ("switched_on", "expected"),
    [
        ({}, {"auth_token": True}),
        ({"use_standard_auth": True}, {"auth_token": True}),
        ({"use_basic_auth": True}, {"basic_auth_user": True}),
        ({"enable_signature_checking": True}, {"hmac_key": True}),
        ({"use_basic_auth": True, "use_standard_auth": True}, {"basic_auth_user": False, "auth_token": True}),
        (ALL, {"basic_auth_user": False, "hmac_key": False, "auth_token": True}),
        ({**ALL, "base_identity_provided_by": "hmac_key"}, {"basic_auth_user": False, "hmac_key": True, "auth_token": False}),
        ({"use_basic_auth": True, "base_identity_provided_by": "jwt_claim"}, {"basic_auth_user": True}),
        ({**ALL, "use_keyless": True}, {}),
    ],
)
def test_which_ways_and_whose_limits(switched_on: dict[str, Any], expected: dict[Mode, bool]) -> None:
    assert definition(**switched_on).ways == {
        mode: Way(Places(header="authorization" if mode == "auth_token" else "Authorization"), base) for mode, base in expected.items()
    }


BASIC, SIGNED, KEYED = "use_basic_auth", "enable_signature_checking", "use_standard_auth"


@pytest.mark.parametrize(
    ("configs", "pairs"),
    [
        ({}, [(BASIC, SIGNED), (BASIC, KEYED), (SIGNED, KEYED)]),
        ({"basic": {"auth_header_name": "X-User"}}, [(SIGNED, KEYED)]),
        ({"basic": {"auth_header_name": "AUTHORIZATION"}, "hmac": {"auth_header_name": "X-Signature"}}, [(BASIC, KEYED)]),
        ({"basic": {"use_cookie": True}, "hmac": {"auth_header_name": "X-Signature"}}, []),
        ({"basic": {"disable_header": True, "use_param": True}, "hmac": {"auth_header_name": "X-Signature"}}, []),
        ({"hmac": {"auth_header_name": "X-Signature"}, "authtoken": {"use_certificate": True}}, []),
    ],
)
def test_ways_that_look_in_one_place(configs: dict[str, Any], pairs: list[tuple[str, str]]) -> None:
    said = [one.message for one in lint(definition(**ALL, auth_configs=configs)) if one.pointer == "/auth_configs"]
    assert [message.partition(" look")[0] for message in said] == [" and ".join(pair) for pair in pairs]
    assert all("the header `authorization`" in message for message in said)


def test_a_base_that_is_not_switched_on() -> None:
    assert mistakes(use_basic_auth=True, use_standard_auth=True, base_identity_provided_by="hmac_key") == ["/base_identity_provided_by"]
    assert mistakes(base_identity_provided_by=5) == ["/base_identity_provided_by"]


def test_each_way_has_places_of_its_own() -> None:
    configs = {
        "basic": {"auth_header_name": "X-User"},
        "hmac": {"disable_header": True, "use_cookie": True},
        "authToken": {"use_param": True},
    }
    ways = definition(**ALL, auth_configs=configs).ways
    assert ways["basic_auth_user"].places.header == "X-User"
    assert ways["hmac_key"].places == Places("", cookie_name="Authorization", use_cookie=True)
    assert ways["auth_token"].places == Places(use_param=True)
    assert mistakes(**ALL, auth_configs={"basic": {"disable_header": True}}) == ["/auth_configs/basic/disable_header"]


class Both(KnownKeys):
    """A user and a key that signs."""

    def __init__(self, user: Key, signer: Key) -> None:
        super().__init__()
        self._keys = {user_hash("defaulteve"): user, secret_hash("k1"): signer}


def user(**session: Any) -> Key:
    return make_key("eve", basic_auth_data={"password": hash_password("pw")}, **session)


def signer(**session: Any) -> Key:
    return Key.from_session("signer", [secret_hash("k1")], {"hmac_enabled": True, **session}, hmac_secret="secret")


def passing(of_user: Key, of_signer: Key, base: str, **more: Any) -> Any:
    """Ask all the stages that look at who calls; return the exchange."""
    now = email.utils.formatdate(Time().now, usegmt=True)
    signature = base64.b64encode(hmac.digest(b"secret", f"date: {now}".encode(), "sha256")).decode()
    request = exchange(
        headers=[
            ("Date", now),
            ("X-User", f"Basic {base64.b64encode(b'eve:pw').decode()}"),
            ("Authorization", f'Signature keyId="k1",algorithm="hmac-sha256",signature="{signature}"'),
            ("Cookie", "a=1"),
        ]
    )
    outside = ports(Both(of_user, of_signer))
    asked = {"use_basic_auth": True, "enable_signature_checking": True, "base_identity_provided_by": base, **more}
    configs = {"auth_configs": {"basic": {"auth_header_name": "X-User"}}}
    for middleware in (basic_auth, hmac_signature, auth_key, key_state, access_rights):
        rule = built(middleware, outside, **configs, **asked)
        if rule is not None:
            ask(rule, request)
    return request


@pytest.mark.parametrize(
    ("base", "key", "further"), [("", "signer", "eve"), ("hmac_key", "signer", "eve"), ("basic_auth_user", "eve", "signer")]
)
def test_a_request_that_passes_both(base: str, key: str, further: str) -> None:
    request = passing(user(), signer(), base, strip_auth_data=True)
    assert request.key.id == key
    assert [one.id for one in request.further_keys] == [further]
    assert request.drop_headers == {b"x-user", b"authorization"}


@pytest.mark.parametrize("base", ["hmac_key", "basic_auth_user"])
@pytest.mark.parametrize(
    ("session", "kind"),
    [
        ({"is_inactive": True}, KEY_INACTIVE),
        ({"expires": 1}, KEY_EXPIRED),
        ({"access_rights": {"other": {"versions": ["Default"]}}}, ACCESS_DENIED),
    ],
)
def test_every_key_must_be_good(session: dict[str, Any], kind: RefusalKind, base: str) -> None:
    for keys in ((user(**session), signer()), (user(), signer(**session))):

        class Rule:
            def on_request(self, _: Any, keys: Any = keys) -> None:
                passing(*keys, base)

        refusal(Rule(), exchange(), kind)


def test_one_way_is_not_enough() -> None:
    rule = built(auth_key, ports(), **ALL)
    refusal(rule, exchange(), KEY_MISSING)


def test_keys_that_certificates_open() -> None:
    for more in ({"auth": {"use_certificate": True}}, {"auth_configs": {"authToken": {"use_certificate": True, "disable_header": True}}}):
        found = definition(**more)
        assert found.ways["auth_token"].places.use_certificate
        assert (found.spec(auth_key.Spec), found.spec(certificate_key.Spec)) == (None, certificate_key.Spec("default", True))
        assert lint(found) == []
    both = definition(
        use_basic_auth=True, use_standard_auth=True, base_identity_provided_by="basic_auth_user", auth={"use_certificate": True}
    )
    assert both.spec(certificate_key.Spec) == certificate_key.Spec("default", False)


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"use_keyless": True, "auth": {"use_certificate": True}}, "/auth/use_certificate"),
        ({"use_basic_auth": True, "auth": {"use_certificate": True}}, "/auth/use_certificate"),
        ({"use_basic_auth": True, "auth_configs": {"basic": {"use_certificate": True}}}, "/auth_configs/basic/use_certificate"),
        ({"auth": {"use_certificate": "yes"}}, "/auth/use_certificate"),
    ],
)
def test_certificates_that_find_no_key(more: dict[str, Any], place: str) -> None:
    assert mistakes(**more) == [place]
