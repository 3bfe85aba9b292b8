"""Client certificates through real TLS sockets: who is let in, by which API, and until when."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support import certificates, client_certificates
from tests.support.client_certificates import Identity
from tests.support.commands import run
from tests.support.gateway import OPERATOR_KEY, Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.raw_client import Answer, RawClient
from tests.support.stores import Valkey
from tests.support.waiting import wait_until

ORG = "default"
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@dataclass
class House:
    """A gateway that speaks TLS. authority: of its own certificate."""

    gateway: Gateway
    folder: Path
    authority: Path
    upstream: OddUpstream
    added: list[str] = field(default_factory=list)

    def send(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.operator_port, timeout=30)
        connection.request(method, path, body, {"X-Tyk-Authorization": OPERATOR_KEY, "Authorization": OPERATOR_KEY})
        answer = connection.getresponse()
        told = json.loads(answer.read())
        connection.close()
        return answer.status, told

    def store(self, one: Identity, org: str = ORG) -> str:
        """Store a certificate; return its id."""
        status, told = self.send("POST", f"/tyk/certs?org_id={org}", one.pem)
        assert (status, told["id"], told["message"]) == (200, org + one.fingerprint, "Certificate added"), told
        assert "unconfirmed" not in told
        self.added.append(told["id"])
        return str(told["id"])

    def remove(self, id: str) -> None:
        status, told = self.send("DELETE", f"/tyk/certs/{id}")
        assert (status, told) == (200, {"status": "ok", "message": "removed"})

    def api(self, name: str, **more: Any) -> None:
        status, told = self.gateway.operator("POST", "/tyk/apis", definition(name, f"{self.upstream.url}/", **more))
        assert status == 200, told

    def allow(self, name: str, *ids: str, **more: Any) -> None:
        """An API that asks for one of these certificates."""
        self.api(name, use_mutual_tls_auth=True, client_certificates=list(ids), **more)

    def context(self, shown: Identity | None, *chain: Identity, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        return client_certificates.context(self.authority, shown and shown.file(self.folder, *chain), version)

    def client(self, shown: Identity | None, *chain: Identity, version: ssl.TLSVersion | None = None) -> RawClient:
        return RawClient(self.gateway.port, tls=self.context(shown, *chain, version=version))

    def ask(self, path: str, shown: Identity | None, *chain: Identity, version: ssl.TLSVersion | None = None) -> Answer:
        with self.client(shown, *chain, version=version) as client:
            return client.get(path)

    def refused(self, path: str, shown: Identity | None, *chain: Identity) -> tuple[int, str, str]:
        return told(self.ask(path, shown, *chain))


def told(answer: Answer) -> tuple[int, str, str]:
    body = answer.json()
    return answer.status, body["code"], body["error"]


@contextlib.contextmanager
def house(folder: Path, upstream: OddUpstream, **env: str) -> Iterator[House]:
    own = certificates.make(folder / "server")
    tls = {"GATEWAY_TLS_CERTIFICATE": str(own.certificate), "GATEWAY_TLS_KEY": str(own.key)}
    with gateway(folder, [definition("open", f"{upstream.url}/")], {**tls, **env}) as running:
        yield House(running, folder, own.authority, upstream)


@pytest.fixture(scope="module")
def at_home(odd_upstream: OddUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("certificates"), odd_upstream) as running:
        yield running


@pytest.fixture
def home(at_home: House) -> Iterator[House]:
    """Without certificates and APIs of other tests."""
    yield at_home
    for id in at_home.added:
        at_home.remove(id)
    at_home.added.clear()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_right_certificate_no_certificate_and_another(home: House, version: ssl.TLSVersion) -> None:
    right, other = client_certificates.make("right"), client_certificates.make("other")
    home.allow("closed", home.store(right))
    home.store(other)
    for _ in range(2):
        assert home.ask("/closed/x", right, version=version).status == 200
        answer = home.ask("/closed/x", None, version=version)
        assert (told(answer), answer.field("connection")) == ((403, "certificate-missing", "Client TLS certificate is required"), "close")
        answer = home.ask("/closed/x", other, version=version)
        assert told(answer) == (403, "certificate-refused", f"Certificate with SHA256 {other.fingerprint} not allowed")
    for shown in (right, other, None):
        assert home.ask("/open/x", shown, version=version).status == 200


def test_the_upstream_is_not_asked_for_what_is_refused(home: House) -> None:
    home.allow("closed", home.store(client_certificates.make("right")), use_keyless=True)
    before = len(home.upstream.seen)
    assert home.refused("/closed/x", None)[0] == 403
    assert len(home.upstream.seen) == before


@pytest.mark.parametrize("version", VERSIONS)
def test_a_certificate_that_nobody_knows_ends_in_the_handshake(home: House, version: ssl.TLSVersion) -> None:
    """OpenSSL lets Python accept all or only what it has verified. Without any certificate here, none is asked for."""
    stranger = client_certificates.make("stranger")
    assert home.ask("/open/x", stranger, version=version).status == 200
    home.allow("closed", home.store(client_certificates.make("right")))
    with pytest.raises((OSError, EOFError)), home.client(stranger, version=version) as client:
        client.get("/open/x")
    metrics = requests.get(f"{home.gateway.operator_url}/metrics", headers={"Authorization": OPERATOR_KEY}, timeout=10).text
    [line] = [line for line in metrics.splitlines() if "client_certificates_untrusted" in line and line[0] != "#"]
    assert float(line.rpartition(" ")[2]) >= 1
    assert home.ask("/open/x", None, version=version).status == 200


def test_the_key_must_be_there_not_only_the_certificate(home: House, tmp_path: Path) -> None:
    """Who knows the certificate of another has nothing: no library even sends it without its key."""
    right = client_certificates.make("right")
    home.allow("closed", home.store(right))
    forged = Identity(right.certificate, client_certificates.make("other").key)
    with pytest.raises(ssl.SSLError, match="KEY_VALUES_MISMATCH"):
        home.context(forged)


def test_one_of_the_same_name_is_another(home: House) -> None:
    right = client_certificates.make("right")
    home.allow("closed", home.store(right))
    with pytest.raises((OSError, EOFError)), home.client(client_certificates.make("right")) as client:
        client.get("/closed/x")


def test_expired_ones_are_told_so_and_reach_what_asks_for_none(home: House) -> None:
    old, early = client_certificates.make("old", days=(-3, -1)), client_certificates.make("early", days=(1, 3))
    status, added = home.send("POST", f"/tyk/certs?org_id={ORG}", old.pem)
    assert (status, len(added["warnings"])) == (200, 1)
    home.added.append(added["id"])
    home.allow("closed", added["id"], home.store(early))
    for shown in (old, early):
        assert home.refused("/closed/x", shown) == (403, "certificate-expired", "Certificate has expired")
        assert home.ask("/open/x", shown).status == 200


@pytest.mark.parametrize("version", VERSIONS)
def test_an_authority_stands_for_what_it_has_issued(home: House, version: ssl.TLSVersion) -> None:
    root = client_certificates.make("root", is_authority=True)
    middle = client_certificates.make("middle", root, is_authority=True)
    leaf, deep = client_certificates.make("leaf", root), client_certificates.make("deep", middle)
    old = client_certificates.make("old", root, days=(-3, -1))
    id = home.store(root)
    home.allow("closed", id)
    home.allow("elsewhere", home.store(client_certificates.make("right")))
    assert home.ask("/closed/x", leaf, version=version).status == 200
    assert home.ask("/closed/x", deep, middle, version=version).status == 200
    assert home.refused("/closed/x", old)[1] == "certificate-expired"
    assert home.refused("/elsewhere/x", leaf)[1] == "certificate-refused"
    with pytest.raises((OSError, EOFError)), home.client(deep, version=version) as client:  # its chain is not sent along
        client.get("/open/x")
    # One that is stored itself is let in by itself, also where its authority is not.
    home.allow("elsewhere", home.store(leaf))
    assert home.ask("/elsewhere/x", leaf, version=version).status == 200
    home.remove(id)
    assert home.refused("/closed/x", leaf)[1] == "certificate-refused"


@pytest.mark.parametrize("is_authority", [False, None])
def test_a_client_is_not_an_authority(home: House, is_authority: bool | None) -> None:
    right = client_certificates.make("right", is_authority=is_authority)
    home.allow("closed", home.store(right))
    rogue = client_certificates.make("rogue", right)
    with pytest.raises((OSError, EOFError)), home.client(rogue, right) as client:
        client.get("/closed/x")


def test_what_is_sent_along_does_not_count(home: House) -> None:
    """A stranger's certificate, known to the gateway by its authority, with that of an allowed client behind it."""
    root, right = client_certificates.make("root", is_authority=True), client_certificates.make("right")
    home.store(root)
    home.allow("closed", home.store(right))
    assert home.refused("/closed/x", client_certificates.make("leaf", root), right)[1] == "certificate-refused"


def test_a_removed_one_is_refused_on_open_connections(home: House) -> None:
    right = client_certificates.make("right")
    id = home.store(right)
    home.store(client_certificates.make("another"))  # so that clients are asked afterwards
    home.allow("closed", id)
    with home.client(right) as client:
        assert client.get("/closed/x").status == 200
        home.remove(id)
        assert told(client.get("/closed/x"))[1] == "certificate-refused"
        assert client.get("/open/x").status == 200
    with pytest.raises((OSError, EOFError)), home.client(right) as client:
        client.get("/open/x")
    home.store(right)
    assert home.ask("/closed/x", right).status == 200


@pytest.mark.parametrize("version", VERSIONS)
def test_resumed_sessions_keep_their_certificate_and_no_other(home: House, version: ssl.TLSVersion) -> None:
    root = client_certificates.make("root", is_authority=True)
    middle = client_certificates.make("middle", root, is_authority=True)
    deep = client_certificates.make("deep", middle)
    id = home.store(root)
    home.allow("closed", id)
    for shown, chain, expected in ((deep, (middle,), 200), (None, (), 403)):
        context = home.context(shown, *chain, version=version)
        session, reused = None, []
        for _ in range(3):
            with _resuming(home, context, session) as client:
                assert client.get("/closed/x").status == expected
                assert isinstance(client.socket, ssl.SSLSocket)
                session, resumed = client.socket.session, client.socket.session_reused
                reused.append(resumed)
        assert reused == [False, True, True]
    # Other certificates are trusted now: sessions of before count for nothing.
    context = home.context(deep, middle, version=version)
    with _resuming(home, context, None) as client:
        assert client.get("/closed/x").status == 200
        assert isinstance(client.socket, ssl.SSLSocket)
        session = client.socket.session
    home.store(client_certificates.make("another"))
    with _resuming(home, context, session) as client:
        assert client.get("/closed/x").status == 200
        assert isinstance(client.socket, ssl.SSLSocket)
        assert not client.socket.session_reused


@contextlib.contextmanager
def _resuming(home: House, context: ssl.SSLContext, session: ssl.SSLSession | None) -> Iterator[RawClient]:
    client = RawClient(home.gateway.port)
    client.socket = context.wrap_socket(client.socket, server_hostname="localhost", session=session)
    with client:
        yield client


def test_neither_keyless_nor_lists_nor_replies_nor_ignored_paths_let_in(home: House) -> None:
    reply = {"path": "reply", "method_actions": {"GET": {"action": "reply", "code": 200, "data": "said", "headers": {}}}}
    ignored = {"path": "ignored", "method_actions": {"GET": {"action": "no_action", "code": 200, "data": "", "headers": {}}}}
    version = {"use_extended_paths": True, "extended_paths": {"ignored": [ignored], "white_list": [reply]}}
    right = client_certificates.make("right")
    home.allow("closed", home.store(right), version=version)
    for path in ("reply", "ignored"):
        assert home.ask(f"/closed/{path}", right).status == 200
        assert home.refused(f"/closed/{path}", None)[1] == "certificate-missing"


def test_batches_have_the_certificate_of_their_envelope(home: House) -> None:
    right = client_certificates.make("right")
    home.allow("closed", home.store(right), enable_batch_request_support=True)
    body = json.dumps({"requests": [{"method": "GET", "relative_url": "x", "headers": {}, "body": ""}] * 2}).encode()
    request = b"POST /closed/tyk/batch/ HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with home.client(right) as client:
        client.send(request)
        assert [one["code"] for one in client.answer().json()] == [200, 200]
    with home.client(None) as client:
        client.send(request)
        assert told(client.answer())[1] == "certificate-missing"


def test_a_key_that_its_certificate_opens(home: House) -> None:
    right, other = client_certificates.make("right"), client_certificates.make("other")
    id = home.store(right)
    home.store(other)
    home.api("keyed", use_keyless=False, use_standard_auth=True, auth={"auth_header_name": "authorization", "use_certificate": True})
    session = {"org_id": ORG, "rate": 0, "per": 0, "quota_max": 2, "quota_renewal_rate": 3600, "access_rights": {"keyed": {}}}
    status, made = home.gateway.operator("POST", "/tyk/keys/create", {**session, "certificate": id})
    assert (status, made["key"]) == (200, id), made
    assert home.ask("/keyed/x", right).status == 200
    assert home.refused("/keyed/x", other)[:2] == (401, "certificate-unknown")
    assert home.refused("/keyed/x", None) == (401, "certificate-for-key-missing", "Client certificate required")
    with home.client(None) as client:  # everybody may know the name of the key
        assert told(client.get("/keyed/x", b"Authorization: " + id.encode()))[0] == 401
    assert home.ask("/keyed/x", right).status == 200
    assert home.refused("/keyed/x", right)[1] == "quota-exceeded"
    status, again = home.gateway.operator("POST", "/tyk/keys/create", {**session, "certificate": id})
    assert (status, again["code"]) == (409, "key-taken")
    status, changed = home.gateway.operator("PUT", f"/tyk/keys/{id}", {**session, "quota_max": -1})
    assert status == 200, changed
    with home.client(right) as client:
        assert client.get("/keyed/x").status == 200
        home.remove(id)
        assert told(client.get("/keyed/x"))[1] == "certificate-unknown"
    home.store(right)
    assert home.ask("/keyed/x", right).status == 200
    assert home.gateway.operator("DELETE", f"/tyk/keys/{id}")[0] == 200
    assert home.refused("/keyed/x", right)[1] == "certificate-unknown"


def test_a_secret_that_counts_only_with_a_certificate(home: House) -> None:
    right, other = client_certificates.make("right"), client_certificates.make("other")
    id = home.store(right)
    home.store(other)
    home.api("bound", use_keyless=False)
    session = {"org_id": ORG, "access_rights": {"bound": {}}, "mtls_static_certificate_bindings": [id]}
    status, made = home.gateway.operator("POST", "/tyk/keys/create", session)
    assert status == 200, made
    line = b"Authorization: " + made["key"].encode()
    for shown, code in ((right, None), (other, "certificate-of-another"), (None, "certificate-of-another")):
        with home.client(shown) as client:
            answer = client.get("/bound/x", line)
            assert (answer.status, None if code is None else told(answer)[1]) == (401 if code else 200, code)
    assert home.refused("/bound/x", right)[1] == "key-missing"


def test_as_users_do_it(home: House, tmp_path: Path) -> None:
    """With openssl and curl, and with requests."""
    key, certificate = tmp_path / "client.key", tmp_path / "client.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=client"]
    run([*made, "-keyout", key, "-out", certificate])
    status, added = home.send("POST", f"/api/certs?org_id={ORG}", certificate.read_bytes())
    assert status == 200, added
    home.added.append(added["id"])
    home.allow("closed", added["id"])
    url = f"https://localhost:{home.gateway.port}/closed/x"
    curl = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", home.authority, url]
    for extra, expected in ((["--cert", certificate, "--key", key], "200"), ([], "403")):
        assert run([*curl, *extra], env={"no_proxy": "*"}) == expected
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(home.authority)
        assert session.get(url, timeout=10).status_code == 403
        session.cert = (str(certificate), str(key))
        assert session.get(url, timeout=10).status_code == 200


def test_without_tls_nobody_passes_and_the_save_says_so(odd_upstream: OddUpstream, tmp_path: Path) -> None:
    right = client_certificates.make("right")
    document = definition("closed", f"{odd_upstream.url}/", use_mutual_tls_auth=True, client_certificates=[ORG + right.fingerprint])
    with gateway(tmp_path, []) as running:
        status, saved = running.operator("POST", "/tyk/apis", document)
        assert (status, [one["pointer"] for one in saved["warnings"]]) == (200, ["/use_mutual_tls_auth", "/client_certificates/0"])
        with RawClient(running.port) as client:
            assert told(client.get("/closed/x")) == (403, "tls-missing", "TLS not enabled")


def test_all_workers_know_a_certificate_when_the_call_answers(
    odd_upstream: OddUpstream, valkey: Valkey, postgresql_url: str, tmp_path: Path
) -> None:
    env = {"GATEWAY_WORKERS": "2", "VALKEY_URL": valkey.url, "GATEWAY_DATABASE_URL": postgresql_url}
    with house(tmp_path, odd_upstream, **env) as home:
        wait_until(lambda: len(home.gateway.started()) == 2, 60, "both workers")
        for number in range(5):
            one = client_certificates.make(f"client-{number}")
            id = home.store(one)
            home.allow("closed", id)
            assert [home.ask("/closed/x", one).status for _ in range(12)] == [200] * 12
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(home.client(one)) for _ in range(12)]
                assert {client.get("/closed/x").status for client in clients} == {200}
                home.remove(id)
                assert {told(client.get("/closed/x"))[1] for client in clients} == {"certificate-refused"}
