"""The mounts of the service sessions as they are deployed: `/sessions/` on every host, and the whole host `sessions.localhost`."""

from __future__ import annotations

import json
import re

import pytest
import requests

from tests.support.processes import ROOT
from tests.support.sessions_house import PASSWORD, House, email

_HOST = "sessions.localhost"
_LONGEST_POLL_S = 25


def _page(house: House, path: str, *, own_host: bool) -> requests.Response:
    """Ask as a browser does, on one of the mounts."""
    url, host = (house.gateway.url, _HOST) if own_host else (house.url, f"127.0.0.1:{house.gateway.port}")
    headers = {"Host": f"{host}:{house.gateway.port}" if own_host else host, "Accept": "text/html,*/*;q=0.8"}
    return requests.get(f"{url}{path}", auth=(email("edit"), PASSWORD), headers=headers, timeout=20, allow_redirects=False)


@pytest.mark.parametrize("own_host", [False, True], ids=["path", "host"])
def test_pages_stay_under_their_mount(sessions_at_home: House, own_host: bool) -> None:
    """Every link and form leads to the same mount, and there is something there."""
    below = "" if own_host else "/sessions"
    start = _page(sessions_at_home, "/", own_host=own_host)
    assert start.status_code in (302, 303, 307, 308)
    assert start.headers["Location"].partition("?")[0].endswith(f"{below}/api/")
    page = _page(sessions_at_home, "/api/", own_host=own_host)
    assert page.status_code == 200
    found = set(re.findall(r'(?:href|src|action)="(/[^"]*)"', page.text))
    assert found
    assert {address for address in found if not address.startswith(f"{below}/")} == set()
    for address in sorted(found):
        answer = _page(sessions_at_home, address.removeprefix(below), own_host=own_host)
        assert answer.status_code == 200 or "INVALID_TOKEN" in answer.text, address  # a session needs its token


@pytest.mark.parametrize("own_host", [False, True], ids=["path", "host"])
def test_figures_of_the_service_are_not_public(sessions_at_home: House, own_host: bool) -> None:
    assert _page(sessions_at_home, "/metrics", own_host=own_host).status_code == 403


def test_the_gateway_waits_longer_than_a_poll() -> None:
    for name in ("sessions", "sessions-host"):
        times = json.loads((ROOT / f"deploy/apis/{name}.json").read_text())["proxy"]["timeouts"]
        assert min(times["first_byte"], times["idle"]) >= _LONGEST_POLL_S + 5


def test_the_two_definitions_differ_in_their_place_alone() -> None:
    plain, host = (json.loads((ROOT / f"deploy/apis/{name}.json").read_text()) for name in ("sessions", "sessions-host"))
    assert host.pop("domain") == _HOST
    for one in (plain, host):
        for name in ("name", "api_id"):
            del one[name]
        del one["proxy"]["listen_path"]
    assert plain == host
