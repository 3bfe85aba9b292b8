"""Signatures: what is signed, with what, how old it may be, and what is refused."""

from __future__ import annotations

import base64
import email.utils
import hmac
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from services.gateway.definitions.model import Places, Way
from services.gateway.keys.model import Key, secret_hash
from services.gateway.middleware import hmac_signature
from services.gateway.middleware.hmac_signature import Spec
from services.gateway.refusals import SIGNATURE_INVALID, SIGNATURE_MALFORMED, SIGNATURE_OUT_OF_TIME
from services.gateway.routing.paths import canonical
from tests.unit.gateway.exchanges import KnownKeys, Time, ask, built, exchange, make_key, mistakes, ports, refusal, spec

SECRET = "bXkgc2VjcmV0IHdpdGggMzIgaGV4IGRpZ2l0cw=="
ALGORITHMS = {"hmac-sha1": "sha1", "hmac-sha256": "sha256", "hmac-sha384": "sha384", "hmac-sha512": "sha512"}
ALL = frozenset(ALGORITHMS)


def signing_key(secret: str | None = SECRET, **session: Any) -> Key:
    return Key.from_session("signer", [secret_hash("k1")], {"hmac_enabled": True, **session}, hmac_secret=secret)


def checking(key: Key | None = None, *, later: bool = False, time: Time | None = None, **more: Any) -> Any:
    return built(
        hmac_signature,
        ports(KnownKeys({"k1": key or signing_key()}, later=later), time=time or Time()),
        enable_signature_checking=True,
        **more,
    )


def date(time: Time | None = None, offset: float = 0.0) -> str:
    return email.utils.formatdate((time or Time()).now + offset, usegmt=True)


def encoded(text: str, algorithm: str = "hmac-sha256", secret: str = SECRET) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), text.encode("latin-1"), ALGORITHMS[algorithm])).decode()


def header(
    signature: str, algorithm: str = "hmac-sha256", headers: str | None = None, key: str = "k1", comma: str = ","
) -> tuple[str, str]:
    parts = [
        f'keyId="{key}"',
        f'algorithm="{algorithm}"',
        *([f'headers="{headers}"'] if headers is not None else []),
        f'signature="{signature}"',
    ]
    return ("Authorization", f"Signature {comma.join(parts)}")


def test_an_api_that_asks_for_no_signature() -> None:
    assert spec(hmac_signature) is None
    assert spec(hmac_signature, enable_signature_checking=True, use_keyless=True) is None


@pytest.mark.parametrize("skew", [None, 0, -1])
def test_the_usual_clock_skew_is_five_seconds(skew: int | None) -> None:
    assert spec(hmac_signature, enable_signature_checking=True, hmac_allowed_clock_skew=skew) == Spec(Way(Places()), 5.0, ALL)
    assert spec(hmac_signature, enable_signature_checking=True, hmac_allowed_clock_skew=1500).skew == 1.5


def test_allowed_algorithms() -> None:
    found = spec(hmac_signature, enable_signature_checking=True, hmac_allowed_algorithms=["HMAC-SHA512"])
    assert found.algorithms == {"hmac-sha512"}
    wrong = {"hmac_allowed_algorithms": ["hmac-sha256", "rsa-sha256"]}
    assert mistakes(hmac_signature, enable_signature_checking=True, **wrong) == ["/hmac_allowed_algorithms/1"]
    assert mistakes(hmac_signature, **wrong) == []


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("escaped", [False, True])
@pytest.mark.parametrize("comma", [",", ", "])
@pytest.mark.parametrize("algorithm", sorted(ALL))
def test_a_signed_date(algorithm: str, comma: str, escaped: bool, later: bool) -> None:
    signature = encoded(f"date: {date()}", algorithm)
    signature = quote(signature, safe="") if escaped else signature
    key = signing_key()
    request = exchange(headers=[("Date", date()), header(signature, algorithm, comma=comma)])
    assert ask(checking(key, later=later), request) is None
    assert (request.key, request.presented_key, request.drop_headers) == (key, "k1", None)


def test_signed_fields() -> None:
    signed = f"(request-target): post /api//x?b=%20&a=1\nhost: h\nx-a: 1, 2\nx-none: \ndate: {date()}"
    names = "(request-target) Host X-A x-none Date"
    request = exchange(
        "POST",
        "/api//x?b=%20&a=1",
        [("Host", "h"), ("X-A", " 1"), ("Date", date()), ("x-a", "2 "), header(encoded(signed), headers=names)],
    )
    request.section.remember_place(b"/api//x?b=%20&a=1", *canonical(b"/api//x?b=%20&a=1"))
    assert ask(checking(), request) is None


def test_a_request_that_a_script_has_moved_is_checked_anew() -> None:
    signed = f"(request-target): get /api/x\ndate: {date()}"
    rule = checking()
    request = exchange(target="/api/x", headers=[("Date", date()), header(encoded(signed), headers="(request-target) date")])
    request.section.again = True
    request.section.request = (b"GET /api/x HTTP/1.1", "GET", b"/api/x", 1)
    for _ in range(2):
        assert ask(rule, request) is None
    request.path = "/api/moved"
    refusal(rule, request, SIGNATURE_INVALID)


def test_a_target_that_the_connection_does_not_know_is_the_canonical_one() -> None:
    """As that of an entry of a batch."""
    signed = f"(request-target): get /api/x?a=1\ndate: {date()}"
    request = exchange(target="/api/x?a=1", headers=[("Date", date()), header(encoded(signed), headers="(request-target) date")])
    assert ask(checking(), request) is None
    request.section.remember_place(b"/api/other", "/api/other", "")
    assert ask(checking(), request) is None


@pytest.mark.parametrize("changed", ["method", "target", "field", "date", "secret", "key", "algorithm"])
def test_what_was_changed_after_it_was_signed(changed: str) -> None:
    signed = f"(request-target): get /api/\nx-a: 1\ndate: {date()}"
    signature = encoded(signed, secret="another" if changed == "secret" else SECRET)
    request = exchange(
        "PUT" if changed == "method" else "GET",
        "/api/x" if changed == "target" else "/api/",
        [
            ("X-A", "2" if changed == "field" else "1"),
            ("Date", date(offset=1) if changed == "date" else date()),
            header(
                signature,
                "hmac-sha512" if changed == "algorithm" else "hmac-sha256",
                headers="(request-target) x-a date",
                key="k2" if changed == "key" else "k1",
            ),
        ],
    )
    refusal(checking(), request, SIGNATURE_INVALID)
    assert request.key is None


def test_x_aux_date_stands_for_the_date() -> None:
    request = exchange(headers=[("Date", date(offset=-3600)), ("X-Aux-Date", date()), header(encoded(f"x-aux-date: {date()}"))])
    assert ask(checking(), request) is None
    names = "date"  # which nobody looks at when the other is there
    request = exchange(headers=[("Date", date()), ("X-Aux-Date", date()), header(encoded(f"date: {date()}", "hmac-sha256"), headers=names)])
    refusal(checking(), request, SIGNATURE_MALFORMED)


@pytest.mark.parametrize(("offset", "right"), [(-5, True), (5, True), (-6, False), (6, False), (-86400, False)])
def test_how_old_a_signature_may_be(offset: float, right: bool) -> None:
    when = date(offset=offset)
    request = exchange(headers=[("Date", when), header(encoded(f"date: {when}"))])
    if right:
        assert ask(checking(), request) is None
    else:
        told = refusal(checking(), request, SIGNATURE_OUT_OF_TIME)
        assert told.detail == "The date may be 5 s from the gateway's clock, before or after."


def test_the_form_of_1_4() -> None:
    signature = quote_plus(encoded(f"date:{quote_plus(date())}", "hmac-sha1"))
    assert ask(checking(), exchange(headers=[("Date", date()), header(signature, "hmac-sha1")])) is None
    refusal(checking(), exchange(headers=[("Date", date()), header(signature, "hmac-sha256")]), SIGNATURE_INVALID)
    only = {"hmac_allowed_algorithms": ["hmac-sha256"]}
    refusal(checking(**only), exchange(headers=[("Date", date()), header(signature, "hmac-sha1")]), SIGNATURE_MALFORMED)


@pytest.mark.parametrize("key", [make_key("k1"), signing_key(None), signing_key(hmac_enabled=False)])
def test_a_key_without_a_secret_for_signatures(key: Key) -> None:
    empty = base64.b64encode(hmac.digest(b"", f"date: {date()}".encode(), "sha256")).decode()
    for signature in (encoded(f"date: {date()}"), empty):
        refusal(checking(key), exchange(headers=[("Date", date()), header(signature)]), SIGNATURE_INVALID)


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "Signature",
        "Signature ",
        "Basic eDp5",
        "k1",
        'Signature keyId="k1",algorithm="hmac-sha256"',
        'Signature keyId="k1",signature="AAAA"',
        'Signature algorithm="hmac-sha256",signature="AAAA"',
        'Signature keyId="k1",algorithm="rsa-sha256",signature="AAAA"',
        'Signature keyId="k1",algorithm="hmac-sha256",signature=AAAA',
        'Signature keyId="k1" algorithm="hmac-sha256" signature="AAAA"',
        'Signature keyId="k1",algorithm="hmac-sha256",signature="AAAA",signature="AAAA"',
        'Signature keyId="k1",algorithm="hmac-sha256",created="1",signature="AAAA"',
        f'Signature keyId="{"k" * 1025}",algorithm="hmac-sha256",signature="AAAA"',
        f'Signature keyId="k1",algorithm="hmac-sha256",signature="{"A" * 9000}"',
    ],
)
def test_what_is_no_signature(sent: str) -> None:
    refusal(checking(), exchange(headers=[("Date", date()), ("Authorization", sent)]), SIGNATURE_MALFORMED)


@pytest.mark.parametrize("signature", ["AAAA", "!", "ü", "%ff%fe"])
def test_a_signature_that_is_none_of_ours(signature: str) -> None:
    refusal(checking(), exchange(headers=[("Date", date()), header(signature)]), SIGNATURE_INVALID)


@pytest.mark.parametrize("when", [None, "", "now", "99999999999999999999", "Mon, 99 Jan 2006 15:04:05 GMT"])
def test_no_date(when: str | None) -> None:
    sent = [] if when is None else [("Date", when)]
    refusal(checking(), exchange(headers=[*sent, header(encoded(f"date: {when}"))]), SIGNATURE_MALFORMED)


def test_a_signature_without_its_date_would_hold_for_ever() -> None:
    told = refusal(checking(), exchange(headers=[("Date", date()), header(encoded("host: h"), headers="host")]), SIGNATURE_MALFORMED)
    assert "date" in (told.detail or "")


def test_the_upstream_does_not_see_what_is_stripped() -> None:
    request = exchange(headers=[("Date", date()), header(encoded(f"date: {date()}"))])
    ask(checking(strip_auth_data=True), request)
    assert request.drop_headers == {b"authorization"}


@pytest.mark.parametrize("later", [False, True])
def test_a_field_is_signed_once(later: bool) -> None:
    """Else 8 KB of names and one long field would be hundreds of megabytes to sign, for whoever knows a key."""
    request = exchange(headers=[("Date", date()), ("X", "v" * 50_000), header("AAAA", headers="date" + " x" * 3900)])
    told = refusal(checking(later=later), request, SIGNATURE_MALFORMED)
    assert told.detail == "The names of the signed fields are ASCII, and each stands once."
    refusal(checking(), exchange(headers=[("Date", date()), header("AAAA", headers="date Date")]), SIGNATURE_MALFORMED)


def test_names_that_no_field_can_have() -> None:
    """A header holds Latin-1, a query all of Unicode."""
    rule = checking(auth_configs={"hmac": {"use_param": True, "param_name": "s"}})
    for name in ("\u20ac", "\xfc"):
        target = f"/api/?s={quote(header('AAAA', headers=f'date {name}')[1])}"
        refusal(rule, exchange(target=target, headers=[("Date", date())]), SIGNATURE_MALFORMED)


def test_what_is_remembered_of_a_client_is_all_but_its_signature() -> None:
    """Another signature behind the same words is judged by itself, also one that would end them."""
    rule, time = checking(), Time()
    for offset in (0, 1, 2):
        assert ask(rule, exchange(headers=[("Date", date(time, offset)), header(encoded(f"date: {date(time, offset)}"))])) is None
    right = header(encoded(f"date: {date()}"))[1]
    before, _, value = right.rpartition('signature="')
    assert list(rule._forms) == [before]
    for wrong, kind in (
        (f'{before}signature="{value[:-2]}"', SIGNATURE_INVALID),
        (f'{before}signature=""', SIGNATURE_MALFORMED),
        (f'{before}signature="{value[:-1]}', SIGNATURE_MALFORMED),
        (f'{before}signature="{value},keyId="k1"', SIGNATURE_MALFORMED),
        (f'{before}signature="{value},signature="{value}', SIGNATURE_MALFORMED),
        (f'{before}signature="{value}"', SIGNATURE_MALFORMED),
        (f'keyId="k1",{before}signature="{value}', SIGNATURE_MALFORMED),
    ):
        refusal(rule, exchange(headers=[("Date", date()), ("Authorization", wrong)]), kind)
    last = f'Signature signature="{value},keyId="k1",algorithm="hmac-sha256"'
    assert ask(rule, exchange(headers=[("Date", date()), ("Authorization", last)])) is None
    assert list(rule._forms) == [before]


def test_what_strangers_write_is_remembered_up_to_a_bound() -> None:
    rule = checking()
    for key in ("k" * 1000, *(f"k{number}" for number in range(1100))):
        refusal(rule, exchange(headers=[("Date", date()), header("AAAA", key=key)]), SIGNATURE_INVALID)
    assert len(rule._forms) <= 1024
    assert max(map(len, rule._forms)) <= 512
