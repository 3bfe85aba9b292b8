"""What every page needs: who is here, the token of its forms, safe ways back, and headers that keep other sites out."""

from __future__ import annotations

import functools
import hmac
import re
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Response, g, make_response, redirect, render_template, request

from services.auth import refusals
from services.auth.credentials.rules import opaque
from services.auth.credentials.service import notes
from services.auth.credentials.service.browsers import Visitor, form_token
from services.auth.credentials.service.notes import Told
from services.auth.web import parts
from services.common.pages import mounted
from services.common.pages.assets import Assets
from services.common.refusal import Refusal

COOKIE = "gatehouse_session"
VISIT = "gatehouse_visit"  # before a person has signed in: tells the sign-in form from a forged one
DEVICE = "gatehouse_device"  # after a person has signed in: what strangers try at the account does not delay this browser
BRAND = "Gatehouse"
ASSETS = Assets("/account/assets")
_UNSEEN = re.compile(r"[\x00-\x20\x7f\\]")
# Pages that may be asked for before signing in, and that the browser comes back to after it; behind `/`, the forms on them.
_OWN_PAGES = re.compile(r"(/oauth/authorize\?[^#]*|/account/(?:password|login-key|tokens)|/account)(?:[/?].*)?")


def _name(cookie: str) -> str:
    """Return a cookie's name; with TLS one that no other host and no connection without TLS can set (RFC 6265bis 4.1.3.2)."""
    return f"__Host-{cookie}" if request.scheme == "https" else cookie


def _values(cookie: str) -> set[str]:
    return set(request.cookies.getlist(_name(cookie)))


def _cookie(cookie: str) -> str:
    """Return what the browser sends; empty when it sends two: another host has planted one of them, and nothing says which."""
    values = _values(cookie)
    return values.pop() if len(values) == 1 else ""


def planted() -> bool:
    """Say whether the browser sends different cookies of one name."""
    return any(len(_values(cookie)) > 1 for cookie in (COOKIE, VISIT))


def visitor() -> Visitor | None:
    """Return who has signed in, looked up once a request."""
    if "visitor" not in g:
        g.visitor = parts().browsers.find(_cookie(COOKIE))
    found: Visitor | None = g.visitor
    return found


def device() -> str | None:
    """Return the secret that an earlier sign-in left in this browser."""
    found = _cookie(DEVICE)
    return found if opaque.prefix_of(found) == opaque.DEVICE else None


def _secret() -> str:
    return _cookie(COOKIE) if visitor() is not None else _visit()


def _visit() -> str:
    if "visit" not in g:
        known = _cookie(VISIT)
        g.visit = known if 20 <= len(known) <= 100 and known.isascii() else secrets.token_urlsafe(24)
    found: str = g.visit
    return found


def check_form(*, signing_in: bool = False) -> None:
    """Refuse a form that no page of ours made for this browser, or that another page sends. Raises Refusal 403.

    Both are checked, because an attacker may have planted a visit cookie whose token the attacker knows: such a form would sign the person
    in to the attacker's account.
    signing_in: the form may be older than the sign-in that there is, which began in another tab.
    """
    if mounted.cross_site(request.host, urlsplit(parts().settings.issuer).netloc):
        raise refusals.form_from_elsewhere()
    if planted():
        raise refusals.cookies_planted()
    given = request.form.get("csrf", "")
    known = {_secret(), _visit()} if signing_in else {_secret()}
    if not given.isascii() or not any(hmac.compare_digest(given, form_token(secret)) for secret in known):
        raise refusals.form_too_old()


def set_cookie(answer: Response, name: str, value: str, **options: Any) -> None:
    """Set a cookie for this host alone: without a Domain no other host gets it."""
    answer.set_cookie(_name(name), value, **_attributes(), **options)


def drop_cookie(answer: Response, name: str) -> None:
    """Make the browser forget a cookie."""
    answer.delete_cookie(_name(name), **_attributes())


def _attributes() -> dict[str, Any]:
    secure = request.scheme == "https"
    return {"path": "/" if secure else request.root_path or "/", "secure": secure, "httponly": True, "samesite": "Lax"}


def page(template: str, status: int = 200, *, leads_to: str | None = None, **values: Any) -> Response:
    """Render a page of ours.

    leads_to: another site's address that its form may redirect to. values: of the template; `told`: what the page tells once, left out: the
    note that the address names.
    """
    here = visitor()
    values.setdefault("told", _told())
    user = here.caller.user if here else None
    answer = _answer(template, status, _origin(leads_to), user=user, csrf=form_token(_secret()), **values)
    if here is None:
        set_cookie(answer, VISIT, _secret())
    return answer


def failure(status: int, message: str) -> Response:
    """Render a page that says what went wrong, without the database: not even who is here."""
    return _answer("message.html", status, title="That did not work", message={"_": sentence(message)})


def start() -> Response:
    """Render what this service is, without the database."""
    answer = _answer("start.html", 200)
    answer.headers["Vary"] = "Accept, X-Forwarded-Prefix"
    return answer


def done(path: str, text: str, secret: str | None = None) -> Response:
    """Redirect to a page of ours that tells once what was done, so that loading it again sends no form. secret: shown there, once.

    When what was done has ended this very sign-in, no page of it can tell so: a secret is shown in the answer itself (sent again, that form
    leads to the sign-in page), and without a secret the sign-in page tells it.
    """
    told = Told(text, secret)
    note = parts().notes.add(_cookie(COOKIE), told)
    if note is not None:
        return go(f"{path}?note={note}")
    g.visitor = None
    if secret is None:
        return go("/account/sign-in?why=ended")
    return page("ended.html", 201, told=told)


def done_once(path: str, text: str, create: Callable[[notes.Form], object]) -> Response:
    """Do as `done`, for what must not be done twice: `create` stores the note, under the id that the form has, with what it creates.

    The same form again leads to that note or, when the note has been read, to one that says that nothing was done again.
    text: what the note says. create: raises SentBefore, SignInEnded.
    """
    given = request.form.get("once", "")
    note = given if 20 <= len(given) <= 22 and given.isascii() else notes.new_id()
    try:
        create(notes.Form(_cookie(COOKIE), note, text))
    except notes.SentBefore as before:
        if before.told:
            return done(path, "This form was sent before, and was not done again. If you missed the secret, replace it.")
    except notes.SignInEnded:
        return to_sign_in()
    return go(f"{path}?note={note}")


def _told() -> Told | None:
    """Take the note that the address names, when a person who has signed in reads it: HEAD only looks."""
    note = request.args.get("note", "")
    if request.method != "GET" or not 0 < len(note) <= 22 or visitor() is None:
        return None
    return parts().notes.take(_cookie(COOKIE), note)


def _answer(template: str, status: int, origin: str = "", *, told: Told | None = None, **values: Any) -> Response:
    """Render a template. Only where a secret is shown a script runs, and only ours: behind the gateway `'self'` is every API there."""
    root = request.root_path.rstrip("/")
    nonce = secrets.token_urlsafe(16) if told and told.secret else None
    asset = functools.partial(ASSETS.address, root=root)
    shown = {"brand": BRAND, "home": f"{root}/account", "root": root, "asset": asset, "told": told, "nonce": nonce, **values}
    answer = make_response(render_template(template, **shown), status)
    script = f" script-src 'nonce-{nonce}';" if nonce else ""
    answer.headers["Content-Security-Policy"] = (
        f"default-src 'none';{script} style-src 'self'; img-src 'self'; form-action 'self'{origin}; base-uri 'none'; frame-ancestors 'none'"
    )
    return protect(answer)


def _origin(address: str | None) -> str:
    """Return an address as a policy names it: a form that leads there by a redirect needs it (CSP 3, form-action).

    Where a policy cannot name the host (a private scheme has none, an IPv6 address is not a host there) it is the scheme.
    """
    if not address:
        return ""
    split = urlsplit(address)
    nameable = split.scheme in ("http", "https") and "[" not in split.netloc
    return f" {split.scheme}://{split.netloc}" if nameable else f" {split.scheme}:"


def protect(answer: Response) -> Response:
    """Keep other sites and caches out of an answer."""
    answer.headers["X-Frame-Options"] = "DENY"
    answer.headers["Referrer-Policy"] = "same-origin"  # with no-referrer a browser would say of our own forms `Origin: null`
    answer.headers["Cache-Control"] = "no-store"
    return answer


def go(path: str) -> Response:
    """Redirect to a page of ours."""
    answer = redirect(request.root_path.rstrip("/") + path, 303)
    assert isinstance(answer, Response)
    return protect(answer)


def _own_page(target: str) -> str | None:
    """Return the page of auth to come back to after signing in: `target`, or the page with the form that is sent there.

    None for everything else, so for every other site. target: a path with an optional query, without the prefix that auth is mounted under.
    """
    if len(target) > 8000 or _UNSEEN.search(target):
        return None
    match = _OWN_PAGES.fullmatch(target)
    return match[1] if match else None


def way_back(target: str) -> str:
    """Return `target` or its page when that is one of ours, else the account's first page: no redirect leads elsewhere."""
    return _own_page(target) or "/account"


def to_sign_in(why: str | None = None) -> Response:
    """Redirect to the sign-in page, and from there back here."""
    query = {"next": request.full_path.rstrip("?"), **({"why": why} if why else {})}
    return go("/account/sign-in?" + urlencode(query))


def field_errors(refused: Refusal) -> dict[str, str]:
    """Return a refusal as one sentence for each field; `_` for what belongs to none."""
    if not refused.fields:
        return {"_": sentence(refused.message)}
    return {name: " ".join(map(str, why)) if isinstance(why, list) else str(why) for name, why in refused.fields.items()}


def sentence(message: str) -> str:
    """Return a message of the API as people read it."""
    return message[:1].upper() + message[1:] + "."
