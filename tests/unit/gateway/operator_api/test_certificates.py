"""Certificates below `/tyk/certs` and `/api/certs`, and the definitions and keys that name them."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from services.gateway.keys.model import certificate_hash, secret_hash
from tests.support import client_certificates
from tests.support.client_certificates import Identity


def add(operator: Any, one: Identity, org: str = "default", path: str = "/tyk/certs") -> str:
    id: str = operator.json("POST", f"{path}?org_id={org}", one.pem)["id"]
    return id


@pytest.mark.parametrize("path", ["/tyk/certs", "/api/certs"])
def test_one_is_added_read_listed_and_removed(operator: Any, path: str) -> None:
    one, two = client_certificates.make("one"), client_certificates.make("two", is_authority=True)
    told = operator.json("POST", f"{path}?org_id=o", b"Some text before\n" + one.pem)
    assert told == {"id": f"o{one.fingerprint}", "message": "Certificate added", "status": "ok"}
    refused = operator.call("POST", f"{path}?org_id=o", one.pem)
    body = refused.json
    assert (refused.status_code, body.get("message") or body["Message"]) == (403, f"Certificate with {told['id']} id already exists")
    ids = [told["id"], add(operator, two, "", path)]
    assert ids[1] == two.fingerprint
    everything = path if path == "/tyk/certs" else f"{path}?p=-1"
    assert operator.json("GET", everything)["certs"] == ids
    assert operator.json("GET", f"{path}?org_id=o")["certs"] == ids[:1]
    [short] = operator.json("GET", f"{path}?org_id=o&mode=detailed")["certs"]
    assert (short["id"], short["subject_cn"], short["issuer_cn"], short["is_ca"]) == (ids[0], "one", "one", False)
    shown = operator.json("GET", f"{path}/{ids[0]}")
    assert {name: shown[name] for name in ("id", "fingerprint", "has_private", "dns_names", "is_ca")} == {
        "id": ids[0],
        "fingerprint": one.fingerprint,
        "has_private": False,
        "dns_names": ["one.test"],
        "is_ca": False,
    }
    assert (shown["subject"]["CommonName"], shown["subject"]["Organization"]) == ("one", ["Tests"])
    assert shown["subject"]["Names"][0] == {"Type": [2, 5, 4, 3], "Value": "one"}
    assert shown["not_after"] == f"{one.certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    for _ in range(2):
        assert operator.json("DELETE", f"{path}/{ids[0]}") == {"status": "ok", "message": "removed"}
    refused = operator.call("GET", f"{path}/{ids[0]}")
    body = refused.json
    assert refused.status_code == 404
    assert (body.get("message") or body["Message"]) == "Certificate with given SHA256 fingerprint not found"
    assert operator.gateway.published == ["certificates"] * 3


@pytest.mark.parametrize("names", ["3004a3023000", "30048202ff41", "05"])
def test_a_certificate_with_names_that_cannot_be_read(operator: Any, names: str) -> None:
    odd = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, bytes.fromhex(names))
    refused = operator.call("POST", "/tyk/certs", client_certificates.make("odd", names=odd).pem)
    assert refused.status_code == 403
    assert refused.json["message"].startswith("The certificate cannot be used: ")
    assert operator.json("GET", "/tyk/certs")["certs"] == []


def test_several_at_once_and_pages(operator: Any) -> None:
    ids = [add(operator, client_certificates.make(f"c{number}")) for number in range(3)]
    assert [one and one["id"] for one in operator.json("GET", f"/tyk/certs/{ids[0]},x,{ids[1]}")] == [ids[0], None, ids[1]]
    assert operator.json("GET", "/api/certs?page_size=2&p=1") == {"certs": ids[2:], "pages": 1}


def test_a_file_of_a_form(operator: Any) -> None:
    one = client_certificates.make("one")
    body = b'--X\r\nContent-Disposition: form-data; name="data"; filename="c.pem"\r\n\r\n%b\r\n--X--\r\n' % one.pem
    headers = {"Content-Type": "multipart/form-data; boundary=X"}
    assert operator.json("POST", "/api/certs", body, headers=headers)["id"] == one.fingerprint


def test_what_is_refused(operator: Any) -> None:
    one, two = client_certificates.make("one"), client_certificates.make("two")
    damaged = one.pem.replace(one.pem[28:38], b"AAAAAAAAAA")
    for body, words in (
        (b"", "Failed to decode certificate. It should be PEM encoded."),
        (b"{}", "Failed to decode certificate. It should be PEM encoded."),
        (one.der, "Failed to decode certificate. It should be PEM encoded."),
        (damaged, ""),
        (b"-----BEGIN CERTIFICATE-----\n\xff\n-----END CERTIFICATE-----\n", "Failed to decode certificate. It should be PEM encoded."),
        (one.pem + one.key_pem, "private key"),
        (one.key_pem, "private key"),
        (one.key_pem[:-30] + one.pem, "private key"),
        (one.pem + two.pem, "holds 2 certificates"),
        (b" " * 70_000 + one.pem, "larger than 64 KB"),
    ):
        refused = operator.call("POST", "/tyk/certs", body)
        assert (refused.status_code, refused.json["code"]) == (403, "certificate-invalid"), refused.text
        assert words in refused.json["message"]
        assert "PRIVATE KEY" not in refused.text
    assert operator.call("POST", "/tyk/certs?org_id=o%20o", one.pem).json["code"] == "invalid-argument"
    assert operator.json("GET", "/tyk/certs") == {"certs": []}
    assert operator.gateway.published == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"days": (-3, -1)}, "has expired"),
        ({"days": (1, 3)}, "is valid from"),
        ({"usage": ExtendedKeyUsageOID.SERVER_AUTH}, "clientAuth"),
        ({"usage": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}, ""),
        ({"usage": None}, ""),
    ],
)
def test_what_is_doubtful(operator: Any, more: dict[str, Any], words: str) -> None:
    told = operator.json("POST", "/tyk/certs", client_certificates.make("one", **more).pem)
    found = told.get("warnings", [])
    assert [words in one for one in found] == ([True] if words else [])


def test_workers_that_have_not_confirmed_are_named(operator: Any) -> None:
    operator.gateway.unconfirmed = ["host:1"]
    told = operator.json("POST", "/tyk/certs", client_certificates.make("one").pem)
    assert told["unconfirmed"] == ["host:1"]
    assert operator.json("DELETE", f"/tyk/certs/{told['id']}")["unconfirmed"] == ["host:1"]


def warned(operator: Any, make_definition: Any, **more: Any) -> list[str]:
    told = operator.json("POST", "/tyk/apis", make_definition(**more))
    return [one["pointer"] for one in told.get("warnings", [])]


def test_definitions_that_let_nobody_in(operator: Any, make_definition: Any) -> None:
    id = add(operator, client_certificates.make("one"))
    unknown = "default" + "0" * 64
    assert warned(operator, make_definition, use_mutual_tls_auth=True, client_certificates=[id]) == []
    assert warned(operator, make_definition, use_mutual_tls_auth=True, client_certificates=[id, unknown]) == ["/client_certificates/1"]
    assert warned(operator, make_definition, use_mutual_tls_auth=True) == ["/client_certificates"]
    linted = operator.json("POST", "/api/gatehouse/lint", make_definition(use_mutual_tls_auth=True, client_certificates=[unknown]))
    assert "/client_certificates/0" in {one["pointer"] for one in linted["warnings"]}
    operator.gateway.speaks_tls = False
    assert warned(operator, make_definition, use_mutual_tls_auth=True, client_certificates=[id]) == ["/use_mutual_tls_auth"]
    assert warned(operator, make_definition, auth={"use_certificate": True}) == ["/auth/use_certificate"]
    refused = operator.json("POST", "/tyk/apis", make_definition(use_mutual_tls_auth=True, client_certificates=["/etc/a.pem"]), status=400)
    assert [one["pointer"] for one in refused["errors"]] == ["/client_certificates/0"]


def test_a_key_of_a_certificate(operator: Any, make_session: Any) -> None:
    one = client_certificates.make("one")
    id, stranger = add(operator, one), add(operator, client_certificates.make("two"), "other")
    operator.new_api()
    for wrong in ("default" + "0" * 64, stranger, "abc"):
        refused = operator.json("POST", "/tyk/keys/create", make_session("one", certificate=wrong), status=400)
        assert [each["pointer"] for each in refused["errors"]] == ["/certificate"]
    made = operator.json("POST", "/tyk/keys/create", make_session("one", certificate=id))
    assert made["key"] == id
    store = operator.gateway.keys_store
    opened = store.by_hash(certificate_hash(id))
    assert opened is not None and opened.key.certificate == id
    assert store.by_hash(secret_hash(id)) is None
    refused = operator.json("POST", "/tyk/keys/create", make_session("one", certificate=id), status=409)
    assert refused["message"] == f"Failed to create key - Key with given certificate already found:{id}"
    assert operator.json("GET", f"/tyk/keys/{id}")["certificate"] == id
    # It stays what it is.
    assert operator.json("PUT", f"/tyk/keys/{id}", make_session("one", rate=7))["action"] == "modified"
    assert operator.json("GET", f"/tyk/keys/{id}")["certificate"] == id
    other = add(operator, client_certificates.make("three"))
    refused = operator.json("PUT", f"/tyk/keys/{id}", make_session("one", certificate=other), status=400)
    assert [each["pointer"] for each in refused["errors"]] == ["/certificate"]
    operator.json("POST", "/tyk/keys/named", make_session("one", certificate=other), status=400)
    plain = operator.json("POST", "/tyk/keys/create", make_session("one"))["key"]
    operator.json("PUT", f"/tyk/keys/{plain}", make_session("one", certificate=other), status=400)
    assert operator.json("POST", f"/api/keys/{made['key_hash']}/rotate", status=400)["Code"] == "key-of-certificate"
    assert operator.json("DELETE", f"/tyk/keys/{id}")["action"] == "deleted"
    assert store.by_hash(certificate_hash(id)) is None


def test_a_key_that_counts_only_with_certificates(operator: Any, make_session: Any) -> None:
    id = add(operator, client_certificates.make("one"))
    operator.new_api()
    name = "mtls_static_certificate_bindings"
    refused = operator.json("POST", "/tyk/keys/create", make_session("one", **{name: [id, "abc", "0" * 64]}), status=400)
    assert [each["pointer"] for each in refused["errors"]] == [f"/{name}/1", f"/{name}/2"]
    made = operator.json("POST", "/tyk/keys/create", make_session("one", **{name: [id.upper().replace("DEFAULT", "default")]}))
    assert operator.json("GET", f"/tyk/keys/{made['key']}")[name] == [id]
    assert operator.gateway.keys_store.by_hash(secret_hash(made["key"])).key.certificates == (id,)
