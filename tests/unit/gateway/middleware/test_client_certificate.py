"""APIs that ask for a client certificate."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.compiler import lint
from services.gateway.exchange import Exchange
from services.gateway.middleware import client_certificate
from services.gateway.refusals import (
    CERTIFICATE_EXPIRED,
    CERTIFICATE_MISSING,
    CERTIFICATE_REFUSED,
    CERTIFICATES_UNAVAILABLE,
    TLS_MISSING,
    RefusalKind,
)
from services.gateway.wire.client_certificates import ClientCertificate, Link
from tests.unit.gateway.exchanges import KnownCertificates, Time, ask, built, definition, exchange, mistakes, ports, refusal, spec

NOW = 1_800_000_000.0
VALID, OVER, EARLY = (NOW - 10, NOW + 10), (NOW - 20, NOW - 10), (NOW + 10, NOW + 20)
IDS = {letter: "org" + letter * 64 for letter in "abc"}


def link(letter: str, times: tuple[float, float] = VALID) -> Link:
    return Link(letter * 64, *times)


def rule(*allowed: str, stored: str = "abc", loaded: bool = True) -> Any:
    known = KnownCertificates(*(IDS[letter] for letter in stored), loaded=loaded)
    outside = ports(time=Time(NOW), certificates=known)
    return built(
        client_certificate, outside, use_mutual_tls_auth=True, client_certificates=[IDS[letter] for letter in allowed], use_keyless=True
    )


def shown(*links: Link) -> Exchange:
    request = exchange()
    request.secure = True
    request.certificate = ClientCertificate(links[0], links[1:]) if links else None
    return request


def test_an_api_that_asks_for_none() -> None:
    assert spec(client_certificate) is None
    assert spec(client_certificate, client_certificates=["no id"]) is None


@pytest.mark.parametrize("links", [[link("a")], [link("b")], [link("x"), link("a")], [link("x"), link("y"), link("b")]])
def test_those_that_are_let_in(links: list[Link]) -> None:
    assert ask(rule("a", "b"), shown(*links)) is None


@pytest.mark.parametrize(
    ("links", "kind"),
    [
        ([], CERTIFICATE_MISSING),
        ([link("c")], CERTIFICATE_REFUSED),
        ([link("c"), link("x")], CERTIFICATE_REFUSED),
        ([link("a", OVER)], CERTIFICATE_EXPIRED),
        ([link("a", EARLY)], CERTIFICATE_EXPIRED),
        ([link("x", VALID), link("a", OVER)], CERTIFICATE_EXPIRED),
        ([link("c", OVER)], CERTIFICATE_REFUSED),
    ],
)
def test_those_that_are_refused(links: list[Link], kind: RefusalKind) -> None:
    refusal(rule("a", "b"), shown(*links), kind)


def test_one_that_is_let_in_by_itself_needs_no_authority() -> None:
    assert ask(rule("a", "b"), shown(link("a"), link("b", OVER))) is None
    assert ask(rule("a", "b", stored="a"), shown(link("a"), link("b"))) is None


def test_removed_ones() -> None:
    refusal(rule("a", stored="bc"), shown(link("a")), CERTIFICATE_REFUSED)
    refusal(rule("b", stored="ac"), shown(link("x"), link("b")), CERTIFICATE_REFUSED)


def test_an_empty_list_lets_nobody_in() -> None:
    refusal(rule(), shown(link("a")), CERTIFICATE_REFUSED)


def test_what_is_said() -> None:
    told = refusal(rule("b"), shown(link("a")), CERTIFICATE_REFUSED)
    assert told.message == f"Certificate with SHA256 {'a' * 64} not allowed"
    told = refusal(rule("a"), shown(link("a", OVER)), CERTIFICATE_EXPIRED)
    assert "2027-01-15 07:59:40 to 2027-01-15 07:59:50 UTC" in str(told.detail)


def test_without_tls_and_without_the_database() -> None:
    refusal(rule("a"), exchange(), TLS_MISSING)
    refusal(rule("a", loaded=False), shown(), CERTIFICATES_UNAVAILABLE)


def test_the_form_of_ids() -> None:
    upper = "54b53d3aeba6db5c35000002" + "AB" * 32
    assert spec(client_certificate, use_mutual_tls_auth=True, client_certificates=[upper, "0" * 64]).ids == (
        "54b53d3aeba6db5c35000002" + "ab" * 32,
        "0" * 64,
    )
    wrong = ["", "abc", "/etc/client.pem", "-----BEGIN CERTIFICATE-----", "o g" + "0" * 64, 5]
    assert mistakes(client_certificate, use_mutual_tls_auth=True, client_certificates=[*wrong, "0" * 64]) == [
        f"/client_certificates/{index}" for index in (5, 0, 1, 2, 3, 4)
    ]


def test_it_is_asked_before_all_that_answers_and_of_batches() -> None:
    from services.gateway.chain import ORDER

    names = [step.middleware.__name__.rpartition(".")[2] for step in ORDER]
    own = names.index("client_certificate")
    assert (ORDER[own].group, ORDER[own].envelope) == ("open", True)
    assert own < min(names.index(name) for name in ("organisation", "version", "path_lists"))
    assert lint(definition(use_mutual_tls_auth=True, client_certificates=[IDS["a"]])) == []
