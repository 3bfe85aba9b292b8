"""The tokens service in the house: behind the gateway, with role tokens that auth issued and revokes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.support.gateway import Gateway
from tests.support.processes import ROOT, running
from tests.support.waiting import wait_until
from tests.system.test_tokens_service import SVG, environment

SECRET = "the-secret-of-the-tokens-service"


@dataclass
class House:
    """gateway: its public address. base: of the tokens API there; tokens, auth: the services themselves. admin: headers at auth."""

    gateway: str
    base: str
    tokens: str
    auth: str
    admin: dict[str, str]

    def issue(self, subject: str) -> tuple[dict[str, str], str]:
        answer = requests.post(f"{self.auth}/role-tokens", json={"subject": subject}, headers=self.admin, timeout=10)
        assert answer.status_code in (200, 201), answer.text
        return {"Authorization": f"Bearer {answer.json()['token']}"}, answer.json()["jti"]

    def get(self, path: str, headers: dict[str, str] | None = None, **query: object) -> requests.Response:
        return requests.get(f"{self.base}{path}", params=query, headers=headers, timeout=70)  # type: ignore[arg-type]


@pytest.fixture
def house(sqlite_url: str, tmp_path: Path) -> Iterator[House]:
    auth_env = {
        "AUTH_DATABASE_URL": f"sqlite:///{tmp_path}/auth.db", "AUTH_DATA": str(tmp_path / "auth"),
        "AUTH_SERVICE_CLIENTS": f"tokens={SECRET}",
        "AUTH_ARGON2_MEMORY_KIB": "8192", "AUTH_ARGON2_PASSES": "1",
    }  # fmt: skip
    with running("auth", auth_env, tmp_path) as (auth, _):
        env = environment(sqlite_url, tmp_path, AUTH_URL=auth, TOKENS_AUTH_SECRET=SECRET)
        del env["TOKENS_JWT_SECRET"]
        with running("tokens", env, tmp_path) as (tokens, _):
            definitions = [json.loads((ROOT / f"deploy/apis/{name}.json").read_text()) for name in ("auth", "tokens")]
            gateway = Gateway(tmp_path, definitions, {"UPSTREAM_AUTH": auth, "UPSTREAM_TOKENS": tokens})
            try:
                password = (tmp_path / "auth" / "admin.password").read_text().strip()
                login = requests.post(f"{auth}/login", json={"email": "admin@gatehouse.local", "password": password}, timeout=10)
                yield House(gateway.url, f"{gateway.url}/tokens", tokens, auth, {"Authorization": f"Bearer {login.json()['access_token']}"})
            finally:
                gateway.stop()


def test_a_token_from_the_card_to_the_wall(house: House) -> None:
    visitor, _ = house.issue("exhibition")
    generator, jti = house.issue("generator")
    assert house.get("/request_interaction", house.admin).status_code == 401  # a sign-in is no role
    interaction = house.get("/request_interaction", visitor).json()["id"]
    idle = house.get("/interaction_updates", visitor, id=interaction, timeout=300)
    assert (idle.status_code, idle.content) == (504, b"")  # passed through as it is
    assert house.get("/deposit_interaction", visitor, id=interaction, keywords="Care,Future,Water").status_code == 200
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(house.get, "/interaction_updates", visitor, id=interaction)
        new = house.get("/new_interaction_updates", generator).json()
        assert (new["id"], new["keywords"]) == (interaction, ["care", "future", "water"])
        body = {"svg": SVG, "generated": "2026-05-01T00:00:00Z", "keywords": new["keywords"]}
        token = requests.put(f"{house.base}/token", json=body, headers=generator, timeout=10).json()["id"]
        assert house.get("/update_interaction", generator, id=interaction, token_id=token).status_code == 200
        assert poll.result().json()["token_id"] == token
    assert house.get("/tokens", offset=0).json()["rows"][0]["id"] == token
    assert house.get("/png", id=token, width=256).content.startswith(b"\x89PNG")

    assert requests.delete(f"{house.auth}/role-tokens/{jti}", headers=house.admin, timeout=10).status_code == 204
    wait_until(lambda: house.get("/waiting_interactions", generator).status_code == 401, 30, "the revocation", 0.2)


def test_what_the_services_count_is_not_public(house: House) -> None:
    for service, straight in (("auth", house.auth), ("tokens", house.tokens)):
        assert requests.get(f"{straight}/metrics", timeout=10).text.startswith("# HELP")
        for path in ("/metrics", "/metrics/", "//metrics", "/%6Detrics"):
            assert requests.get(f"{house.gateway}/{service}{path}", timeout=10).status_code == 403
        assert requests.head(f"{house.gateway}/{service}/metrics", timeout=10).status_code == 403
        assert requests.get(f"{house.gateway}/{service}/health", timeout=10).status_code == 200


def test_pages_know_their_prefix(house: House) -> None:
    page = requests.get(f"{house.base}/", headers={"Accept": "text/html"}, timeout=10)
    assert page.headers["Content-Type"].startswith("text/html") and 'data-root="/tokens/"' in page.text
    assert requests.get(f"{house.base}/", timeout=10).json()["name"]
    script = requests.get(f"{house.base}/pages/archive.js", timeout=10)
    assert script.status_code == 200 and script.headers["Content-Type"].startswith("text/javascript")


def test_stream_through_the_gateway(house: House) -> None:
    visitor, _ = house.issue("exhibition")
    generator, _ = house.issue("generator")
    interaction = house.get("/request_interaction", visitor).json()["id"]
    head = {**visitor, "Accept": "text/event-stream"}
    with requests.get(f"{house.base}/interaction_updates", params={"id": interaction}, headers=head, stream=True, timeout=20) as stream:
        lines = stream.iter_lines()
        assert next(lines) == b"retry: 2000"
        house.get("/update_interaction", generator, id=interaction, queue_position=2)
        data = next(line for line in lines if line.startswith(b"data: "))
        assert json.loads(data[6:])["queue_position"] == 2
