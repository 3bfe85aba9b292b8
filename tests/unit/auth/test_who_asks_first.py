"""Who asks is judged before anything of the body is read: a stranger hears 401, whatever the body, whatever there is."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.unit.auth.browsing import REDIRECT, VERIFIER, Browser, client_of, introspect, sent_back
from tests.unit.auth.conftest import ADMIN, PASSWORD, SERVICE, Auth

# Whoever calls these is nobody yet, or gives the credential in the body itself.
OPEN = {
    "/",
    "/login",
    "/oauth/token",
    "/oauth/revoke",
    "/oauth/authorize",
    "/.well-known/jwks.json",
    "/.well-known/openid-configuration",
    "/openapi.json",
    "/health",
    "/ready",
    "/metrics",
    "/account/sign-in",
    "/account/assets/<name>",
}
BODIES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "application/json"),
    "malformed": (b"{", "application/json"),
    "endlessly deep": (b"[" * 30_000, "application/json"),
    "not UTF-8": (b"\xff\xfe", "application/json"),
    "unknown field": (b'{"more": 1}', "application/json"),
    "wrong type": (b"[]", "application/json"),
    "too large": (b'"' + b"a" * 100_000 + b'"', "application/json"),
    "XML": (b"<a/>", "application/xml"),
    "a form": (b"a=1&a=2", "application/x-www-form-urlencoded"),
    "too large a form": (b"a=" + b"a" * 100_000, "application/x-www-form-urlencoded"),
    "a broken upload": (b"--x\r\n", "multipart/form-data"),
}
CREDENTIALS = {
    "none": {},
    "a wrong token": {"Authorization": "Bearer nonsense"},
    "a wrong secret": {"Authorization": "Basic c2Vzc2lvbnM6bm9uc2Vuc2U="},
    "a scheme of its own": {"Authorization": "Digest x"},
}


def closed(auth: Auth) -> list[tuple[str, str]]:
    """(method, path) of every route that somebody must be known for."""
    found = []
    for rule in auth.app.url_map.iter_rules():
        if rule.rule in OPEN:
            continue
        _, path = rule.build(dict.fromkeys(rule.arguments, "nothing-there")) or ("", "")
        found += [(method, path) for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"})]
    assert len(found) > 40
    return found


def answer_of(auth: Auth, method: str, path: str, body: tuple[bytes, str], headers: dict[str, str]) -> TestResponse:
    return auth.ask(method, path, data=body[0], content_type=body[1], headers={**headers, "If-Match": '"77"'})


def is_stranger(path: str, answer: TestResponse) -> bool:
    """Pages for people lead to the sign-in instead."""
    if path.startswith("/account"):
        return answer.status_code == 303 and "/account/sign-in?next=" in answer.location
    return answer.status_code == 401


@pytest.mark.parametrize("body", BODIES)
def test_a_stranger_hears_401_whatever_the_body(auth: Auth, body: str) -> None:
    wrong = []
    for method, path in closed(auth):
        for name, headers in CREDENTIALS.items():
            auth.clock.move(16 * 60)  # wrong credentials are forgotten
            answer = answer_of(auth, method, path, BODIES[body], headers)
            if not is_stranger(path, answer):
                wrong.append((method, path, name, answer.status_code, answer.text[:80]))
    assert wrong == []


class Unread(io.RawIOBase):
    """A body that nobody may read."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise AssertionError("the body was read")


def test_the_body_of_a_stranger_is_not_even_read(auth: Auth) -> None:
    auth.app.config["PROPAGATE_EXCEPTIONS"] = True
    for method, path in closed(auth):
        for headers in CREDENTIALS.values():
            if (path, bool(headers)) == ("/oauth/introspect", False):
                continue  # the credentials may stand in the form
            if path in ("/verify/token", "/verify/user") and headers is CREDENTIALS["a wrong secret"]:
                continue  # one statement judges the service and what it asks about
            auth.clock.move(16 * 60)  # wrong credentials are forgotten
            environ = {"wsgi.input": Unread(), "CONTENT_LENGTH": "10", "CONTENT_TYPE": "application/json", "REMOTE_ADDR": "198.51.100.7"}
            client = auth.app.test_client(use_cookies=False)
            answer = client.open(path, method=method, headers=headers, environ_overrides=environ)
            assert is_stranger(path, answer), (method, path, answer.status_code)


def test_a_stranger_learns_nothing_from_what_is_there(auth: Auth, admin: str) -> None:
    user = auth.add_user("u@example.org", admin)
    there = [
        ("GET", f"/users/{user['id']}", None),
        ("PATCH", f"/users/{user['id']}", {"full_name": "x"}),
        ("POST", "/users", {"email": "u@example.org", "password": PASSWORD, "domain": "gatehouse"}),
        ("POST", "/domains", {"name": "gatehouse"}),
        ("DELETE", "/domains/gatehouse", None),
        ("DELETE", "/clients/sessions", None),
        ("PUT", "/role-tokens/cut-off/public", {"cut_off": "2026-03-01T12:00:00Z"}),
    ]
    for method, path, body in there:
        answer = auth.ask(method, path, body, headers={"X-Request-Id": "same"})
        other = auth.ask(method, path.rpartition("/")[0] + "/nothing-there", body, headers={"X-Request-Id": "same"})
        assert answer.status_code == 401, path
        assert other.status_code in (401, 404, 405)
        if other.status_code == 401:
            assert other.text == answer.text


@pytest.mark.parametrize("body", BODIES)
def test_somebody_without_the_level_hears_403_whatever_the_body(auth: Auth, admin: str, body: str) -> None:
    auth.add_user("u@example.org", admin)
    own = {"Authorization": f"Bearer {auth.log_in('u@example.org')}"}
    wrong = []
    for method, path in closed(auth):
        if path.startswith(("/users", "/domains", "/role-tokens", "/clients", "/signing-keys", "/audit")):
            answer = answer_of(auth, method, path, BODIES[body], own)
            if answer.status_code != 403:
                wrong.append((method, path, answer.status_code))
    assert wrong == []


def test_whoever_may_hears_what_is_wrong_with_the_body(auth: Auth, admin: str) -> None:
    def ask(path: str, body: str, **options: Any) -> int:
        return auth.ask("POST", path, data=BODIES[body][0], content_type=BODIES[body][1], **options).status_code

    for path, who in [("/domains", {"token": admin}), ("/verify/token", {"basic": SERVICE}), ("/verify/basic", {"basic": SERVICE})]:
        assert ask(path, "malformed", **who) == 400
        assert ask(path, "endlessly deep", **who) == 400
        assert ask(path, "unknown field", **who) == 422
        assert ask(path, "wrong type", **who) == 422
        assert ask(path, "too large", **who) == 413
    assert auth.ask("POST", "/oauth/introspect", data="token=a&token=b", content_type=BODIES["a form"][1], basic=SERVICE).status_code == 400


def test_client_credentials_in_the_form_do_for_introspection(auth: Auth, admin: str) -> None:
    form = {"client_id": SERVICE[0], "client_secret": SERVICE[1], "token": admin}
    assert auth.ask("POST", "/oauth/introspect", data=form).json["active"]
    answer = auth.ask("POST", "/oauth/introspect", data={**form, "client_secret": "wrong"})
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke"])
def test_wrong_client_credentials_are_told_before_what_is_wrong_with_the_form(auth: Auth, path: str) -> None:
    for body, content_type in BODIES.values():
        answer = auth.ask("POST", path, data=body, content_type=content_type, basic=("sessions", "wrong"))
        assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("header", ["Bearer expired", "Basic {id}:", "Basic"])
def test_a_public_client_may_send_a_header_that_holds_no_secret(auth: Auth, admin: str, browser: Browser, header: str) -> None:
    """Libraries send their client's name with an empty secret, or the token that they have, along with the form."""
    client = client_of(auth, admin, public=True)
    code = sent_back(browser.authorize(client["client_id"]))["code"]
    name = base64.b64encode(f"{client['client_id']}:".encode()).decode()
    headers = {"Authorization": header.replace("{id}:", name)}
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    answer = auth.ask("POST", "/oauth/token", data={**form, "client_id": client["client_id"]}, headers=headers)
    assert answer.status_code == 200, answer.text
    form = {"token": answer.json["refresh_token"], "client_id": client["client_id"]}
    assert auth.ask("POST", "/oauth/revoke", data=form, headers=headers).status_code == 200
    assert not introspect(auth, form["token"])["active"]


def test_a_known_person_is_looked_up_once(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked before the body is not asked again after it: a password is hashed once."""
    checked = []
    fits = auth.parts.hasher._fits
    monkeypatch.setattr(auth.parts.hasher, "_fits", lambda kept, password: checked.append(kept) or fits(kept, password))
    assert auth.ask("POST", "/domains", {"name": "lab"}, basic=(ADMIN, PASSWORD)).status_code == 201
    assert len(checked) == 1


def test_a_page_of_a_stranger_reads_no_form(auth: Auth) -> None:
    answer = Browser(auth).client.post("/oauth/authorize", data={"csrf": "x" * 100_000})
    assert answer.status_code == 303
    assert json.dumps(answer.location).startswith('"/account/sign-in?next=')
