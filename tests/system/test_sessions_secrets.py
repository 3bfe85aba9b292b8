"""No secret of a session reaches a log: not of the service, not of the gateway, however odd the request is that bears it."""

from __future__ import annotations

import base64
import socket

import requests

from tests.support import sessions_client_today as of_today
from tests.support.sessions_house import PASSWORD, House, email
from tests.support.waiting import wait_until

_NEW = "a password that was never set"


def _raw(port: int, data: bytes) -> bytes:
    """Send bytes as they are, and return the first of what comes back."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(data)
        return connection.recv(4096)


def test_no_secret_is_logged(sessions_at_home: House) -> None:
    house = sessions_at_home
    by_password = of_today.Connection(house.url, email("edit"), PASSWORD)
    person = by_password.with_login_key()
    person.io("add_project", "secret", "EN")
    session = person.start("secret")
    joined = person.join(session)
    token, client = joined.token, person.client_token
    joined.select()
    joined.update({"STAKEHOLDERS": -1})

    both = f"token={token}&clientToken={client}&f=JSON"
    paths = [
        f"/api/session/?{both}",
        f"/api/session/items/STAKEHOLDERS/?{both}",
        f"/api/session/items/nothing/?{both}",
        f"/api/session/nowhere/?{both}",
        f"/api/slots/{session}/lists/STAKEHOLDERS/?{both}",
        f"/api/slots/{session + 1000}/lists/STAKEHOLDERS/?{both}",
        f"/api/slots/x/lists/STAKEHOLDERS/?{both}&f=WEIRD",
        f"/nowhere?{both}",
        f"/api/session/?token={token}x",
        f"/api/session/items/STAKEHOLDERS/?{both}&f=HTML",
    ]
    for path in paths:
        for base in (house.url, house.straight):
            for method in ("GET", "POST", "PUT"):
                answer = requests.request(method, f"{base}{path}", data="{", headers={"Content-Type": "application/json"}, timeout=20)
                assert answer.status_code != 500
    ports = (house.gateway.port, int(house.straight.rpartition(":")[2]))
    basic = base64.b64encode(f"{email('edit')}:{PASSWORD}".encode())
    for port in ports:
        query = both.encode()
        _raw(port, b"GET /sessions/api/session/?" + query + b" HTTP/9\r\n\r\n")
        _raw(port, b"GET /sessions/api/session/ ?" + query + b" HTTP/1.1\r\nHost: h\r\n\r\n")
        _raw(port, b"GET /sessions/api/?" + query + b" HTTP/1.1\r\nHost: h\r\ntoken " + token.encode() + b"\r\n\r\n")
        _raw(port, b"GET /api/ HTTP/1.1\r\nHost: h\r\nAuthorization: Basic " + basic + b"\r\n\x00bad: x\r\n\r\n")
        _raw(port, b"POST /sessions/api/session/update/?" + query + b" HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\n")
    for body in ([email("edit"), _NEW], [email("edit"), {"password": _NEW}], [_NEW] * 5):
        address = f"{house.url}/api/event/user/set_user_passwd/?f=JSON"
        assert requests.post(address, json=body, auth=person.auth, timeout=20).status_code == 400
    requests.get(f"{house.url}/api/", auth=(email("edit"), f"wrong {PASSWORD}"), timeout=20)
    requests.get(f"{house.url}/api/", auth=(email("edit"), person.auth[1] + "x"), timeout=20)

    last = requests.get(f"{house.url}/api/session/the-last-one/?{both}", timeout=20).headers["X-Request-Id"]
    wait_until(lambda: house.logs().count(last) >= 2, 20, "the log lines of both")
    logged = house.logs()
    assert "/api/slots/" in logged
    assert "/api/session/items/nothing/" in logged
    secrets = {
        "session token": token,
        "its random part": token[8:],
        "client token": client,
        "password": PASSWORD,
        "new password": _NEW,
        "Basic": basic.decode(),
        "login key": person.auth[1],
    }
    assert [name for name, secret in secrets.items() if secret in logged] == []
    person.io("kill", session)
