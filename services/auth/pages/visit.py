"""What every page needs: who is here, the token of its forms, safe ways back, and headers that keep other sites out."""

from __future__ import annotations

import hmac
import secrets
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Response, g, make_response, redirect, render_template, request

from services.auth.api.context import house
from services.auth.rules import redirects
from services.auth.service.browsers import Visitor, form_token
from services.common.app import Refusal

COOKIE = "gatehouse_session"
VISIT = "gatehouse_visit"  # before somebody has signed in: only so that the sign-in form can be told from a forged one


def visitor() -> Visitor | None:
    """Who has signed in, looked up once a request."""
    if "visitor" not in g:
        g.visitor = house().browsers.find(request.cookies.get(COOKIE, ""))
    found: Visitor | None = g.visitor
    return found


def _secret() -> str:
    return request.cookies[COOKIE] if visitor() is not None else _visit()


def _visit() -> str:
    if "visit" not in g:
        known = request.cookies.get(VISIT, "")
        g.visit = known if 20 <= len(known) <= 100 and known.isascii() else secrets.token_urlsafe(24)
    found: str = g.visit
    return found


def check_form(*, signing_in: bool = False) -> None:
    """Raises Refusal 403 for a form that was not made by a page of ours for this browser.

    signing_in: the form may be older than the sign-in that there is, which began in another tab.
    """
    given = request.form.get("csrf", "")
    known = {_secret(), _visit()} if signing_in else {_secret()}
    if not given.isascii() or not any(hmac.compare_digest(given, form_token(secret)) for secret in known):
        raise Refusal(403, "This form is too old. Go back, load the page anew and try again", "form-too-old")


def set_cookie(answer: Response, name: str, value: str, **options: Any) -> None:
    answer.set_cookie(
        name, value, path=request.root_path or "/", secure=request.scheme == "https", httponly=True, samesite="Lax", **options
    )


def drop_cookie(answer: Response) -> None:
    """Forget the sign-in."""
    answer.delete_cookie(COOKIE, path=request.root_path or "/", secure=request.scheme == "https", httponly=True, samesite="Lax")


def page(template: str, status: int = 200, *, leads_to: str | None = None, **values: Any) -> Response:
    """A page of ours. leads_to: another site's address that its form may end at."""
    here = visitor()
    text = render_template(
        template, user=here.caller.user if here else None, csrf=form_token(_secret()), root=request.root_path.rstrip("/"), **values
    )
    answer = _answer(text, status, _origin(leads_to))
    if here is None:
        set_cookie(answer, VISIT, _secret())
    return answer


def failure(status: int, message: str) -> Response:
    """A page that says what went wrong and asks the database nothing, not even who is here."""
    told = {"title": "That did not work", "message": {"_": sentence(message)}}
    return _answer(render_template("message.html", user=None, root=request.root_path.rstrip("/"), **told), status)


def _answer(text: str, status: int, origin: str = "") -> Response:
    answer = make_response(text, status)
    answer.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'self'; form-action 'self'{origin}; base-uri 'none'; frame-ancestors 'none'"
    )
    return protect(answer)


def _origin(address: str | None) -> str:
    """The place of an address in a policy: a form that leads there by a redirect needs it (CSP 3, form-action).

    Where a policy cannot name the host (a private scheme has none, an IPv6 address is no host there) it is the scheme.
    """
    if not address:
        return ""
    parts = urlsplit(address)
    nameable = parts.scheme in ("http", "https") and "[" not in parts.netloc
    return f" {parts.scheme}://{parts.netloc}" if nameable else f" {parts.scheme}:"


def protect(answer: Response) -> Response:
    answer.headers["X-Frame-Options"] = "DENY"
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["Cache-Control"] = "no-store"
    return answer


def go(path: str) -> Response:
    """On to a page of ours."""
    answer = redirect(request.root_path.rstrip("/") + path, 303)
    assert isinstance(answer, Response)
    return protect(answer)


def way_back(target: str) -> str:
    """`target` or its page when that is one of ours, else the account's first page: nobody is led elsewhere."""
    return redirects.own_page(target) or "/account"


def to_sign_in(why: str | None = None) -> Response:
    """Sign in first, then come back here."""
    query = {"next": request.full_path.rstrip("?"), **({"why": why} if why else {})}
    return go("/account/sign-in?" + urlencode(query))


def field_errors(refused: Refusal) -> dict[str, str]:
    """A refusal as one sentence a field; `_` for what belongs to none."""
    if not refused.fields:
        return {"_": sentence(refused.message)}
    return {name: " ".join(map(str, why)) if isinstance(why, list) else str(why) for name, why in refused.fields.items()}


def sentence(message: str) -> str:
    """A message of the API for people."""
    return message[:1].upper() + message[1:] + "."


def shown(moment: Any) -> str:
    """A moment for people, in UTC."""
    return moment.strftime("%-d %B %Y, %H:%M UTC") if moment else "never"
