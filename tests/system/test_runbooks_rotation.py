"""The rotation of each secret, by the commands of docs/runbooks.md: what was given out stays good, the former secret does not."""

from __future__ import annotations

import signal
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
import requests

from tests.support import certificates
from tests.support.gateway import gateway as gateway_alone
from tests.support.given_out import ADMIN, Auth, Devices, Gateway, Session, answer_of, ask, taken
from tests.support.installation import Installation, installation
from tests.support.processes import ROOT
from tests.support.runbooks import run
from tests.support.waiting import wait_until
from tests.support.webhook_receiver import Receiver, receiving
from tools.dev import plan

PRINTED = "the-secret-of-tokens-printed-long-ago"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of deploy/make-secrets."""
    folder = tmp_path_factory.mktemp("rotation") / "secrets"
    subprocess.run(["deploy/make-secrets", str(folder)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="module")
def house(files: Path) -> Iterator[Installation]:
    """All that has secrets to rotate. Master keys are those that `./dev up` draws, credentials of services are files."""
    credentials = {f"{name.upper()}_AUTH_SECRET_FILE": str(files / f"{name}_auth_secret") for name in ("sessions", "tokens", "devices")}
    settings = {**credentials, "AUTH_SERVICE_CLIENTS_FILE": str(files / "service_clients"), "TOKENS_JWT_SECRET": PRINTED}
    with installation(files.parent / "var", ("auth", "sessions", "tokens", "devices"), settings) as made:
        made.start()
        yield made


@pytest.fixture(scope="module")
def auth(house: Installation) -> Auth:
    return Auth(house)


@pytest.fixture(scope="module")
def gateway(house: Installation, receiver: Receiver) -> Gateway:
    return Gateway(house, receiver)


@pytest.fixture(scope="module")
def devices(house: Installation, auth: Auth, receiver: Receiver) -> Devices:
    return Devices(house, auth, receiver)


def test_the_operator_key(house: Installation, gateway: Gateway) -> None:
    file = house.data / "gateway" / "operator.key"
    former = file.read_text().strip()
    run("Operator key", "all", env=house.page(OPERATOR_KEY_FILE=str(file)))
    house.reload()
    assert file.stat().st_mode & 0o777 == 0o600
    assert ask("GET", f"{house.operator}/api/apis", authorization=former).status_code == 401
    assert gateway.operate("GET", "/api/apis").status_code == 200
    assert gateway.opens(gateway.key)


def rotate_master_key(house: Installation, service: str, told: str) -> None:
    """As the page says, with a restart where it says so."""
    apply = house.reload if service == "gateway" else lambda: house.restart(service)
    env = house.page(SERVICE=service, KEY_FILE=str(house.data / service / "master.key"))
    former = house.text(f"{service}/master.key")
    run("Master keys", "all", env=env)
    apply()
    if told:
        assert f"{service}: sealed {told} again; 0 were sealed with this key already" in run("Master keys", "sqlite", env=env)
    run("Master keys", "all", 2, env=env)
    apply()
    assert former not in house.text(f"{service}/master.key")
    assert len(house.text(f"{service}/master.key").splitlines()) == 1


def test_the_master_key_of_the_gateway(house: Installation, gateway: Gateway) -> None:
    assert gateway.signs_with(gateway.secret)
    rotate_master_key(house, "gateway", "1 secrets")
    assert gateway.signs_with(gateway.secret)
    assert gateway.opens(gateway.key)


def test_the_master_key_of_auth(house: Installation, auth: Auth) -> None:
    rotate_master_key(house, "auth", "1 secrets")
    assert auth.knows(auth.access)
    fresh = auth.sign_in()["access_token"]
    assert jwt.get_unverified_header(fresh)["kid"] == jwt.get_unverified_header(auth.access)["kid"]
    assert auth.knows(fresh)


def test_the_master_key_of_devices(house: Installation, devices: Devices) -> None:
    assert devices.resolves()
    rotate_master_key(house, "devices", "2 secrets")
    assert devices.resolves()
    assert devices.signs_with(devices.secret)


def test_the_master_key_of_sessions(house: Installation) -> None:
    """A session token is good until the former key is taken out, and what is given out meanwhile is good afterwards."""
    session = Session(house)
    env = house.page(SERVICE="sessions", KEY_FILE=str(house.data / "sessions" / "master.key"))
    run("Master keys", "all", env=env)
    house.restart("sessions")
    assert session.lives()
    later = session.person.join(session.joined.session)
    assert later.token != session.joined.token
    run("Master keys", "all", 2, env=env)
    house.restart("sessions")
    assert not session.lives()
    assert later.items("STAKEHOLDERS")


def test_the_signing_keys(house: Installation, auth: Auth) -> None:
    before = auth.sign_in()
    run("Signing keys of auth", "sqlite", env=house.page())
    after = auth.sign_in()
    kids = [jwt.get_unverified_header(one["access_token"])["kid"] for one in (before, after)]
    assert kids[0] != kids[1]
    assert taken(ask("GET", f"{house.url}/auth/.well-known/jwks.json"))["keys"][0]["kid"] == kids[1]
    assert auth.knows(before["access_token"]) and auth.knows(after["access_token"])

    run("Signing keys of auth", "sqlite", 2, env=house.page())
    assert not auth.knows(before["access_token"]) and not auth.knows(after["access_token"])
    assert auth.knows(auth.sign_in()["access_token"])


def test_a_service_credential_without_a_gap(house: Installation, auth: Auth, devices: Devices, files: Path) -> None:
    """Whoever signs in is let in after each restart, with a token that nobody has seen."""
    env = house.page(SERVICE="devices", SECRETS=str(files))
    former = (files / "devices_auth_secret").read_text()
    run("Service credentials", "files", env=env)
    house.restart("auth")
    assert devices.lists(auth.token()) == 200
    house.restart("devices")
    assert devices.lists(auth.token()) == 200
    run("Service credentials", "files", 2, env=env)
    house.restart("auth")
    assert devices.lists(auth.token()) == 200
    present = (files / "devices_auth_secret").read_text()
    assert [_code_of_auth(house, one) for one in (former, present)] == ["service-credentials-needed", "unknown-user"]


def _code_of_auth(house: Installation, secret: str) -> str:
    url = f"{house.straight('auth')}/verify/user"
    return str(requests.post(url, json={"id": "x"}, auth=("devices", secret), timeout=30).json()["code"])


def test_the_administrators_password(house: Installation, auth: Auth) -> None:
    former = house.text("auth/admin.password")
    signed_in = auth.sign_in()["access_token"]
    run("Passwords of people", "sqlite", env=house.page())
    assert ask("POST", f"{house.url}/auth/login", {"email": ADMIN, "password": former}).status_code == 401
    assert not auth.knows(signed_in)
    assert auth.knows(auth.sign_in()["access_token"])


def test_the_secret_of_printed_tokens(house: Installation) -> None:
    """A token of auth takes the place of a printed one, which ends."""
    role = ask("POST", f"{house.url}/auth/role-tokens", {"subject": "admin"}, authorization=f"Bearer {Auth(house).access}")
    issued = taken(role)["token"]

    def lets_in(token: str) -> bool:
        return ask("GET", f"{house.url}/tokens/queue_pace", authorization=f"Bearer {token}").status_code == 200

    printed = jwt.encode({"sub": "admin"}, PRINTED, "HS256")
    assert lets_in(printed)
    house.environ["TOKENS_JWT_SECRET"] = "another-secret-for-tokens-printed-later"
    house.restart("tokens")
    assert not lets_in(printed)
    assert lets_in(issued)


def test_the_secret_of_a_hook(house: Installation, gateway: Gateway) -> None:
    run("Secrets of webhooks", "all", env=house.page(HOOK=gateway.hook, SECRET="another-secret-of-the-gateways-hook"))
    wait_until(lambda: gateway.signs_with("another-secret-of-the-gateways-hook"), 30, "the new secret")
    assert taken(gateway.operate("GET", f"/api/hooks/{gateway.hook}"))["signed"] is True


def test_the_secret_of_an_action(house: Installation, devices: Devices) -> None:
    action, former = devices.new_action("warm")
    said = run("Secrets of webhooks", "all", 2, env=house.page(TOKEN=devices.account, ACTION=action))
    secret = answer_of(said)["result"]["secret"]
    assert secret != former
    assert devices.signs_with(secret, "warm")


def test_an_api_key(house: Installation, gateway: Gateway) -> None:
    said = run("API keys", "sqlite", env=house.page(ID=gateway.id))
    [secret] = [line.split()[-1] for line in said.splitlines() if line.startswith("secret:")]
    assert gateway.opens(secret) and gateway.opens(gateway.key)


def test_the_secret_of_an_oauth2_client(house: Installation) -> None:
    bearer = Auth(house).access
    body = {"name": "App", "grants": ["client_credentials"]}
    made = taken(ask("POST", f"{house.url}/auth/clients", body, authorization=f"Bearer {bearer}"))
    said = run("OAuth2 client secrets", "all", env=house.page(TOKEN=bearer, CLIENT=made["client_id"]))
    secret = answer_of(said)["client_secret"]

    def granted(one: str) -> int:
        form = {"grant_type": "client_credentials"}
        return requests.post(f"{house.url}/auth/oauth/token", data=form, auth=(made["client_id"], one), timeout=30).status_code

    assert (granted(made["client_secret"]), granted(secret)) == (401, 200)


def test_the_password_in_the_url_of_a_database(tmp_path: Path) -> None:
    """The rest of it needs a server."""
    env = {"SECRETS": str(tmp_path), "SERVICE": "devices"}
    urls = []
    for _ in range(2):
        run("Database passwords", "files", env=env)
        urls.append((tmp_path / "devices_database_url").read_text())
        assert (tmp_path / "devices_database_password").read_text() in urls[-1]
    assert urls[0] != urls[1]


def test_the_certificate(tmp_path: Path) -> None:
    made = [certificates.make(tmp_path / name) for name in ("first", "second")]
    served = {"GATEWAY_TLS_CERTIFICATE": str(tmp_path / "served.crt"), "GATEWAY_TLS_KEY": str(tmp_path / "served.key")}

    def replace(one: certificates.Certificates) -> None:
        run("TLS certificate", "all", env={**served, "NEW_CERTIFICATE": str(one.certificate), "NEW_KEY": str(one.key)})

    replace(made[0])
    with gateway_alone(tmp_path, [], served) as started:
        replace(made[1])
        assert ssl.get_server_certificate(("127.0.0.1", started.port)).strip() in made[0].certificate.read_text()
        started.signal(signal.SIGHUP)
        new = made[1].certificate.read_text()
        wait_until(lambda: ssl.get_server_certificate(("127.0.0.1", started.port)).strip() in new, 60, "the new certificate")


def test_credentials_that_dev_up_makes_again(tmp_path: Path) -> None:
    """What every start of a service is planned with."""

    def secrets() -> dict[str, str]:
        plan.programs(plan.Ports.defaults(), tmp_path, 1, {})
        return {path.parent.name: path.read_text().strip() for path in tmp_path.glob("*/auth.secret")}

    before = secrets()
    run("Service credentials", "sqlite", env={"DATA": str(tmp_path)})
    after = secrets()
    assert before.keys() == after.keys() == {"sessions", "tokens", "devices", "mobility"}
    assert not set(before.values()) & set(after.values())
    assert set((tmp_path / "auth" / "service-clients").read_text().strip().split(", ")) == {f"{name}={after[name]}" for name in after}
