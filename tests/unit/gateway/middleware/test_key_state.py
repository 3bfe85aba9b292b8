"""Keys that were switched off or have ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.gateway.middleware import key_state
from services.gateway.refusals import (
    CERTIFICATE_EXPIRED,
    CERTIFICATE_OF_ANOTHER,
    CERTIFICATES_UNAVAILABLE,
    KEY_EXPIRED,
    KEY_INACTIVE,
    KEY_UNKNOWN,
)
from services.gateway.wire.client_certificates import ClientCertificate, Link
from tests.unit.gateway.exchanges import KnownCertificates, Time, ask, built, exchange, make_key, ports, refusal

NOW = 1_800_000_000.0


def rule(time: Time | None = None) -> Any:
    return built(key_state, ports(time=time or Time(NOW)))


def test_keyless_apis_have_no_keys_to_judge() -> None:
    assert built(key_state, ports(), use_keyless=True) is None


@pytest.mark.parametrize("session", [{}, {"expires": 0}, {"expires": -1}, {"expires": NOW + 1}, {"expires": None, "is_inactive": None}])
def test_keys_that_are_good(session: dict[str, Any]) -> None:
    assert ask(rule(), exchange(key=make_key(**session))) is None


def test_a_key_ends_at_its_second() -> None:
    time = Time(NOW)
    request = exchange(key=make_key(expires=NOW + 60))
    for moment, good in ((0, True), (59.9, True), (60, False), (3600, False)):
        time.now = NOW + moment
        if good:
            assert ask(rule(time), request) is None
        else:
            refusal(rule(time), request, KEY_EXPIRED)


def test_an_api_forgets_keys_after_its_session_lifetime() -> None:
    """From the last change; use does not lengthen it, and other APIs go on with the key (Tyk 3.1)."""
    time = Time(NOW + 59.9)
    limited = built(key_state, ports(time=time), session_lifetime=60)
    request = exchange(key=replace(make_key(), saved_at=NOW))
    assert ask(limited, request) is None
    time.now = NOW + 60
    assert "session_lifetime" in str(refusal(limited, request, KEY_UNKNOWN).detail)
    assert ask(rule(time), request) is None
    assert ask(limited, exchange(key=replace(make_key(), saved_at=NOW + 30))) is None


def test_the_lifetime_of_a_key_itself_takes_the_place_of_the_apis() -> None:
    time = Time(NOW + 59.9)
    keys = {lifetime: exchange(key=replace(make_key(session_lifetime=lifetime), saved_at=NOW)) for lifetime in (60, 3600, 0, -1)}
    limited = built(key_state, ports(time=time), session_lifetime=600)
    for request in keys.values():
        assert ask(limited, request) is None
    time.now = NOW + 60
    assert refusal(limited, keys[60], KEY_UNKNOWN).detail == "The key has outlived its session_lifetime; saving the key begins another one."
    refusal(rule(time), keys[60], KEY_UNKNOWN)
    time.now = NOW + 600
    assert ask(limited, keys[3600]) is None
    for lifetime in (0, -1):
        assert "this API's session_lifetime" in str(refusal(limited, keys[lifetime], KEY_UNKNOWN).detail)
        assert ask(rule(time), keys[lifetime]) is None


def test_a_lifetime_that_respects_when_keys_expire() -> None:
    time = Time(NOW)
    patient = built(key_state, ports(time=time), session_lifetime=60, session_lifetime_respects_key_expiration=True)
    never, late = (exchange(key=replace(make_key(expires=expires), saved_at=NOW)) for expires in (0, NOW + 3600))
    early = exchange(key=replace(make_key(session_lifetime=60, expires=NOW + 10), saved_at=NOW))
    time.now = NOW + 3599
    assert [ask(patient, one) for one in (never, late)] == [None, None]
    refusal(patient, early, KEY_EXPIRED)
    time.now = NOW + 3600
    refusal(patient, late, KEY_EXPIRED)
    assert ask(patient, never) is None


def test_inactive_is_said_before_expired() -> None:
    refusal(rule(), exchange(key=make_key(is_inactive=True, expires=1)), KEY_INACTIVE)
    refusal(rule(), exchange(key=make_key(is_inactive=True)), KEY_INACTIVE)


def test_without_a_key_nothing_passes() -> None:
    refusal(rule(), exchange(key=None), KEY_INACTIVE)


def bound(*ids: str, **known: Any) -> Any:
    """A request with a key of these certificates, and the check."""
    certificates = KnownCertificates(*known.pop("stored", ids), **known)
    return built(key_state, ports(time=Time(NOW), certificates=certificates)), exchange(
        key=make_key(mtls_static_certificate_bindings=list(ids))
    )


def test_a_key_with_certificates_counts_only_with_one_of_them() -> None:
    check, request = bound("o" + "a" * 64, "o" + "b" * 64)
    refusal(check, request, CERTIFICATE_OF_ANOTHER)
    for letter, good in (("a", True), ("b", True), ("c", False)):
        request.certificate = ClientCertificate(Link(letter * 64, NOW - 1, NOW + 1))
        if good:
            assert ask(check, request) is None
        else:
            refusal(check, request, CERTIFICATE_OF_ANOTHER)


def test_an_authority_above_it_is_not_the_certificate() -> None:
    check, request = bound("a" * 64)
    request.certificate = ClientCertificate(Link("c" * 64, NOW - 1, NOW + 1), (Link("a" * 64, NOW - 1, NOW + 1),))
    refusal(check, request, CERTIFICATE_OF_ANOTHER)


def test_certificates_of_a_key_that_were_removed_have_ended_or_are_not_known_yet() -> None:
    check, request = bound("a" * 64, stored=())
    request.certificate = ClientCertificate(Link("a" * 64, NOW - 1, NOW + 1))
    refusal(check, request, CERTIFICATE_OF_ANOTHER)
    check, request = bound("a" * 64)
    for times in ((NOW - 2, NOW - 1), (NOW + 1, NOW + 2)):
        request.certificate = ClientCertificate(Link("a" * 64, *times))
        refusal(check, request, CERTIFICATE_EXPIRED)
    check, request = bound("a" * 64, loaded=False)
    refusal(check, request, CERTIFICATES_UNAVAILABLE)


def test_a_further_key_with_certificates() -> None:
    check, request = bound("a" * 64)
    request.key, request.further_keys = make_key("other"), (request.key,)
    refusal(check, request, CERTIFICATE_OF_ANOTHER)
