"""Keys that are found by the certificate of their client."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key, certificate_hash, secret_hash
from services.gateway.middleware import auth_key, certificate_key
from services.gateway.refusals import CERTIFICATE_EXPIRED, CERTIFICATE_FOR_KEY_MISSING, CERTIFICATE_UNKNOWN, CERTIFICATES_UNAVAILABLE
from services.gateway.wire.client_certificates import ClientCertificate, Link
from tests.unit.gateway.exchanges import KnownCertificates, KnownKeys, Time, ask, built, exchange, make_key, ports, refusal

NOW = 1_800_000_000.0
OWN, OTHER = "a" * 64, "b" * 64
AUTH = {"auth_header_name": "authorization", "use_certificate": True}
KEY = make_key(certificate=f"o{OWN}")


class ByHash(KnownKeys):
    """hashes: what opens which key."""

    def __init__(self, hashes: dict[str, Key], *, later: bool = False) -> None:
        super().__init__(later=later)
        self._keys = hashes


def rule(hashes: dict[str, Key] | None = None, *stored: str, later: bool = False, loaded: bool = True, **more: Any) -> Any:
    known = {certificate_hash(f"o{OWN}"): KEY} if hashes is None else hashes
    certificates = KnownCertificates(*(stored or (f"o{OWN}", f"o{OTHER}")), loaded=loaded)
    outside = ports(ByHash(known, later=later), time=Time(NOW), certificates=certificates)
    return built(certificate_key, outside, **{"org_id": "o", "auth": AUTH, **more})


def shown(fingerprint: str, *issuers: str, until: float = NOW + 1, **headers: str) -> Exchange:
    request = exchange(headers=headers.items())
    request.certificate = ClientCertificate(Link(fingerprint, NOW - 9, until), tuple(Link(one, NOW - 9, NOW + 1) for one in issuers))
    return request


def test_it_takes_the_place_of_auth_key() -> None:
    assert built(auth_key, ports(), auth=AUTH) is None
    assert built(certificate_key, ports()) is None
    assert built(certificate_key, ports(), auth=AUTH) is not None


@pytest.mark.parametrize("later", [False, True])
def test_the_key_of_the_certificate(later: bool) -> None:
    request = shown(OWN)
    assert ask(rule(later=later), request) is None
    assert (request.key, request.presented_key, request.further_keys) == (KEY, OWN, ())


def test_one_of_several_ways() -> None:
    request = shown(OWN)
    ask(rule(use_basic_auth=True, use_standard_auth=True, base_identity_provided_by="basic_auth_user"), request)
    assert (request.key, request.further_keys) == (None, (KEY,))


@pytest.mark.parametrize("later", [False, True])
def test_others(later: bool) -> None:
    refusal(rule(later=later), shown(OTHER), CERTIFICATE_UNKNOWN)
    refusal(rule(later=later), shown(OTHER, OWN), CERTIFICATE_UNKNOWN)  # the certificate of an authority
    refusal(rule(None, f"o{OTHER}", later=later), shown(OWN), CERTIFICATE_UNKNOWN)  # removed
    refusal(rule(org_id="p", later=later), shown(OWN), CERTIFICATE_UNKNOWN)
    refusal(rule(), shown(OWN, until=NOW - 1), CERTIFICATE_EXPIRED)
    refusal(rule(), exchange(), CERTIFICATE_FOR_KEY_MISSING)
    refusal(rule(loaded=False), exchange(), CERTIFICATES_UNAVAILABLE)


def test_a_secret_does_not_stand_for_a_certificate() -> None:
    secrets = {secret_hash(f"o{OWN}"): make_key(), secret_hash("secret"): make_key()}
    refusal(rule(secrets), exchange(headers=[("authorization", "secret")]), CERTIFICATE_FOR_KEY_MISSING)
    refusal(rule(secrets), shown(OWN, authorization="secret"), CERTIFICATE_UNKNOWN)
    refusal(rule({certificate_hash(f"o{OWN}"): make_key()}), shown(OWN), CERTIFICATE_UNKNOWN)  # a key without a certificate
