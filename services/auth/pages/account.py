"""Signing in and "my account": profile, password, login key, tokens. Plain forms; every page works without scripts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request
from marshmallow import ValidationError

from services.auth.access import Caller
from services.auth.credentials.schemas import NewAccessToken
from services.auth.credentials.service import notes
from services.auth.pages import visit
from services.auth.people.schemas import OwnChange
from services.auth.web import origin, parts
from services.common.refusal import Refusal

blueprint = Blueprint("pages", __name__, template_folder="templates")
View = Callable[..., Response]
KINDS = (("account", "Account"), ("analysis", "Analysis"), ("middleware", "Middleware"))
ALLOWED = {"full": "Read and write", "read": "Read only", "write": "Write only"}
# On the page a token ends unless the person chooses otherwise; the API leaves that to its caller.
LIFETIMES = (
    ("86400", "In a day"),
    ("604800", "In 7 days"),
    ("2592000", "In 30 days"),
    ("7776000", "In 90 days"),
    ("31536000", "In a year"),
    ("never", "Never"),
)
USUAL_LIFETIME = "2592000"


def signed_in(view: Callable[..., Response]) -> View:
    """Call a view with the person who has signed in; send others to sign in first. A form must be one of ours."""

    @functools.wraps(view)
    def guarded(**values: Any) -> Response:
        here = visit.visitor()
        if here is None:
            return visit.to_sign_in()
        if request.method == "POST":
            visit.check_form()
        return view(here.caller, **values)

    return guarded


@blueprint.errorhandler(Refusal)
def refused(error: Refusal) -> Response:
    """Render a refusal as a page."""
    answer = visit.page("message.html", error.status, title="That did not work", message=visit.field_errors(error))
    return _later(answer, error)


def _later(answer: Response, error: Refusal) -> Response:
    """Add when to come back, if the refusal says so; its other headers are for programs."""
    if "Retry-After" in error.headers:
        answer.headers["Retry-After"] = error.headers["Retry-After"]
    return answer


WHY = {
    "password": "For this, please sign in with your password, not with a login key.",
    "ended": "That is done. It ended your sign-in in this browser, too: please sign in again.",
    "left": "You are signed out.",
}
PLANTED = "Your browser holds cookies for this site that another one has set. Delete the cookies of this site, then sign in."


@blueprint.get("/account/sign-in")
def sign_in_page() -> Response:
    target = visit.way_back(request.args.get("next", ""))
    why = PLANTED if visit.planted() else WHY.get(request.args.get("why", ""))
    if visit.visitor() is not None and why is None:
        return visit.go(target)
    return visit.page("sign_in.html", target=target, email="", why=why, errors={})


@blueprint.post("/account/sign-in")
def sign_in() -> Response:
    visit.check_form(signing_in=True)
    target = visit.way_back(request.form.get("next", ""))
    email, password = request.form.get("email", ""), request.form.get("password", "")
    try:
        begun = parts().browsers.sign_in(email, password, origin(), visit.device())
    except Refusal as error:
        sentence = {401: "E-mail or password is not right."} if error.code == "invalid-credentials" else {}
        errors = {"_": sentence.get(error.status) or visit.field_errors(error)["_"]}
        return _later(visit.page("sign_in.html", error.status, target=target, email=email[:254], why=None, errors=errors), error)
    before = visit.visitor()
    if before is not None:
        parts().browsers.sign_out(before.caller, origin(before.caller))
    answer = visit.go(target)
    visit.set_cookie(answer, visit.COOKIE, begun.cookie, expires=begun.expires)
    if begun.device:
        visit.set_cookie(answer, visit.DEVICE, begun.device, expires=begun.device_expires)
    return answer


@blueprint.post("/account/sign-out")
@signed_in
def sign_out(caller: Caller) -> Response:
    parts().browsers.sign_out(caller, origin(caller))
    answer = visit.go("/account/sign-in?why=left")
    for cookie in (visit.COOKIE, visit.VISIT):
        visit.drop_cookie(answer, cookie)
    return answer


@blueprint.route("/account", methods=["GET", "POST"])
@signed_in
def profile(caller: Caller) -> Response:
    values = {"full_name": caller.user.full_name, "email": caller.user.email}
    if request.method != "POST":
        return visit.page("profile.html", values=values, errors={})
    given = {name: request.form.get(name, "").strip() for name in values}
    try:
        parts().people.change_own(caller, OwnChange().load(given), origin(caller))
    except (Refusal, ValidationError) as error:
        return visit.page("profile.html", 422, values=given, errors=_errors(error, "email"))
    return visit.done("/account", "Your profile was saved.")


@blueprint.route("/account/password", methods=["GET", "POST"])
@signed_in
def password(caller: Caller) -> Response:
    if request.method != "POST":
        return visit.page("password.html", errors={})
    current, new = request.form.get("current_password", ""), request.form.get("new_password", "")
    try:
        parts().passwords.change_own(caller, current, new, origin(caller))
    except Refusal as error:
        return _later(visit.page("password.html", error.status, errors=_errors(error, "current_password")), error)
    return visit.done("/account/password", "The password was changed. You are signed out everywhere else, and your login key has ended.")


@blueprint.route("/account/login-key", methods=["GET", "POST"])
@signed_in
def login_key(caller: Caller) -> Response:
    if request.method != "POST":
        return visit.page("login_key.html", key=parts().login_keys.get(caller), now=parts().clock.now())
    key, _ = parts().login_keys.add(caller, origin(caller))
    return visit.done("/account/login-key", "This is your new login key. Copy it now: it is not shown again.", key)


@blueprint.get("/account/login-key/replace")
@signed_in
def ask_to_replace_login_key(caller: Caller) -> Response:
    del caller
    return visit.page(
        "confirm.html",
        title="Replace your login key?",
        consequence="The key that you have ends at once, with the sign-ins and tokens that were made with it. Programs need the new one.",
        action="/account/login-key",
        back="/account/login-key",
        button="Replace the key",
    )


@blueprint.route("/account/login-key/remove", methods=["GET", "POST"])
@signed_in
def remove_login_key(caller: Caller) -> Response:
    if request.method == "POST":
        dropped = parts().login_keys.remove(caller, origin(caller))
        return visit.done("/account/login-key", "Your login key was removed." if dropped else "You had no login key.")
    return visit.page(
        "confirm.html",
        title="Remove your login key?",
        consequence="It ends at once, with the sign-ins and tokens that were made with it. This cannot be undone.",
        action="/account/login-key/remove",
        back="/account/login-key",
        button="Remove the key",
        dangerous=True,
    )


@blueprint.route("/account/tokens", methods=["GET", "POST"])
@signed_in
def tokens(caller: Caller) -> Response:
    if request.method != "POST":
        return _tokens(caller)
    given, wrong = _token_form()
    try:
        fields = NewAccessToken().load(given)
        if wrong:
            return _tokens(caller, 422, values=request.form, errors=wrong)
        text = f"{_named(fields.get('label', ''))} was made. Copy it now: it is not shown again."
        return visit.done_once("/account/tokens", text, lambda form: parts().access_tokens.add(caller, fields, origin(caller), form))
    except (Refusal, ValidationError) as error:
        return _tokens(caller, 422, values=request.form, errors={**_errors(error, "_"), **wrong})


@blueprint.route("/account/tokens/<token_id>/rotate", methods=["GET", "POST"])
@signed_in
def rotate_token(caller: Caller, token_id: str) -> Response:
    if request.method == "POST":
        token, secret = parts().access_tokens.rotate(caller, token_id, origin(caller))
        return visit.done("/account/tokens", f"{_named(token.label)} was replaced. Copy the new one now: it is not shown again.", secret)
    token = parts().access_tokens.get(caller, token_id)
    return visit.page(
        "confirm.html",
        title=f"Replace {_named(token.label, begins=False)}?",
        consequence="Programs that use it are refused at once, until they have the new one. Label, rights and end stay as they are.",
        action=f"/account/tokens/{token.id}/rotate",
        back="/account/tokens",
        button="Replace the token",
    )


@blueprint.route("/account/tokens/<token_id>/remove", methods=["GET", "POST"])
@signed_in
def remove_token(caller: Caller, token_id: str) -> Response:
    try:
        token = parts().access_tokens.get(caller, token_id)
        if request.method == "POST":
            parts().access_tokens.remove(caller, token_id, origin(caller))
            return visit.done("/account/tokens", f"{_named(token.label)} was removed.")
    except Refusal as error:
        if request.method != "POST" or error.status != 404:
            raise
        return visit.done("/account/tokens", "This token is not there any more.")  # the form was sent twice, or from two tabs
    return visit.page(
        "confirm.html",
        title=f"Remove {_named(token.label, begins=False)}?",
        consequence="Programs that use it are refused at once. This cannot be undone.",
        action=f"/account/tokens/{token.id}/remove",
        back="/account/tokens",
        button="Remove the token",
        dangerous=True,
    )


def _named(label: str, *, begins: bool = True) -> str:
    """Name the token of this label in a sentence. begins: whether the name begins the sentence."""
    return ("The" if begins else "the") + (f" token “{label}”" if label else " token without a label")


def _tokens(caller: Caller, status: int = 200, **shown: Any) -> Response:
    parts().last_used.flush()
    found, total = parts().access_tokens.page(caller, 1, 200)
    values = {"values": {"expires_in": USUAL_LIFETIME}, "errors": {}, **shown}
    choices: dict[str, Any] = {"once": notes.new_id(), "kinds": KINDS, "allowed": ALLOWED, "lifetimes": LIFETIMES}
    return visit.page("tokens.html", status, tokens=found, total=total, now=parts().clock.now(), **choices, **values)


def _token_form() -> tuple[dict[str, Any], dict[str, str]]:
    """Return the form as the API takes it, and what cannot be read, by field. A line of the policy is an entry: `device: read, edit`."""
    wrong = {}
    lifetime = request.form.get("expires_in", USUAL_LIFETIME)
    if lifetime not in dict(LIFETIMES):
        wrong["expires_in"] = "Choose one from the list."
    policy = []
    for number, line in enumerate(request.form.get("policy", "").splitlines(), 1):
        if not line.strip():
            continue
        resource, colon, actions = line.rpartition(":")
        if not colon:
            wrong.setdefault("policy", f"Line {number} has no colon. Write the resource, a colon, and what may be done.")
        policy.append({"resource": resource.strip(), "actions": [one for one in actions.replace(",", " ").split() if one]})
    given = {
        "kind": request.form.get("kind", ""),
        "label": request.form.get("label", "").strip(),
        "permission": request.form.get("permission", ""),
        "policy": policy,
        "expires_in": int(lifetime) if lifetime in dict(LIFETIMES) and lifetime != "never" else None,
    }
    return given, wrong


def _errors(error: Refusal | ValidationError, field: str) -> dict[str, str]:
    """Return one sentence for each field. field: gets what does not belong to a field."""
    if isinstance(error, ValidationError):
        return {str(name): " ".join(map(str, why)) if isinstance(why, list) else "Not valid." for name, why in error.messages_dict.items()}
    found = visit.field_errors(error)
    return {field if name == "_" else name: why for name, why in found.items()}
