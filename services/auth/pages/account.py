"""Signing in and "my account": profile, password, login key, tokens. Plain forms; every page works without scripts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request
from marshmallow import ValidationError

from services.auth import schemas
from services.auth.api.context import house, origin
from services.auth.pages import visit
from services.auth.service.identity import Caller
from services.common.app import Refusal

blueprint = Blueprint("pages", __name__, template_folder="templates")
View = Callable[..., Response]
ALLOWED = {"full": "Read and write", "read": "Read only", "write": "Write only"}
LIFETIMES = (("never", "Never"), ("86400", "In a day"), ("2592000", "In 30 days"), ("31536000", "In a year"))


def signed_in(view: Callable[..., Response]) -> View:
    """For the person who has signed in; others sign in first. A form must be one of ours."""

    @functools.wraps(view)
    def guarded(**values: Any) -> Response:
        here = visit.visitor()
        if here is None:
            return visit.to_sign_in()
        if request.method == "POST":
            visit.check_form()
        return view(here.caller, **values)

    return guarded


@blueprint.app_template_filter("moment")
def moment(value: Any) -> str:
    return visit.shown(value)


@blueprint.errorhandler(Refusal)
def refused(error: Refusal) -> Response:
    answer = visit.page("message.html", error.status, title="That did not work", message=visit.field_errors(error))
    return _later(answer, error)


def _later(answer: Response, error: Refusal) -> Response:
    """When to come back, if the refusal says so; its other headers are for programs."""
    if "Retry-After" in error.headers:
        answer.headers["Retry-After"] = error.headers["Retry-After"]
    return answer


@blueprint.get("/account/style.css")
def style() -> Response:
    answer = Response(blueprint.open_resource("style.css", "rb").read(), mimetype="text/css")
    answer.headers["Cache-Control"] = "public, max-age=3600"
    return answer


WHY = {"password": "For this, please sign in with your password, not with a login key."}
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
        begun = house().browsers.sign_in(email, password, origin(), visit.device())
    except Refusal as error:
        sentence = {401: "E-mail or password is not right."} if error.code == "invalid-credentials" else {}
        errors = {"_": sentence.get(error.status) or visit.field_errors(error)["_"]}
        return _later(visit.page("sign_in.html", error.status, target=target, email=email[:254], why=None, errors=errors), error)
    before = visit.visitor()
    if before is not None:
        house().browsers.sign_out(before.caller, origin(before.caller))
    answer = visit.go(target)
    visit.set_cookie(answer, visit.COOKIE, begun.cookie, expires=begun.expires)
    if begun.device:
        visit.set_cookie(answer, visit.DEVICE, begun.device, expires=begun.device_expires)
    return answer


@blueprint.post("/account/sign-out")
@signed_in
def sign_out(caller: Caller) -> Response:
    house().browsers.sign_out(caller, origin(caller))
    answer = visit.go("/account/sign-in")
    for cookie in (visit.COOKIE, visit.VISIT):
        visit.drop_cookie(answer, cookie)
    return answer


@blueprint.route("/account", methods=["GET", "POST"])
@signed_in
def profile(caller: Caller) -> Response:
    values = {"full_name": caller.user.full_name, "email": caller.user.email}
    if request.method != "POST":
        return visit.page("profile.html", values=values, errors={}, saved=request.args.get("saved"))
    given = {name: request.form.get(name, "").strip() for name in values}
    try:
        house().people.change_own(caller, schemas.OwnChange().load(given), origin(caller))
    except (Refusal, ValidationError) as error:
        return visit.page("profile.html", 422, values=given, errors=_errors(error, "email"), saved=None)
    return visit.go("/account?saved=1")


@blueprint.route("/account/password", methods=["GET", "POST"])
@signed_in
def password(caller: Caller) -> Response:
    if request.method != "POST":
        return visit.page("password.html", errors={}, saved=request.args.get("saved"))
    current, new = request.form.get("current_password", ""), request.form.get("new_password", "")
    try:
        house().people.change_own_password(caller, current, new, origin(caller))
    except Refusal as error:
        return _later(visit.page("password.html", error.status, errors=_errors(error, "current_password"), saved=None), error)
    return visit.go("/account/password?saved=1")


@blueprint.route("/account/login-key", methods=["GET", "POST"])
@signed_in
def login_key(caller: Caller) -> Response:
    made = house().people.new_login_key(caller, origin(caller))[0] if request.method == "POST" else None
    return visit.page("login_key.html", 201 if made else 200, made=made, key=house().people.login_key(caller))


@blueprint.post("/account/login-key/remove")
@signed_in
def remove_login_key(caller: Caller) -> Response:
    house().people.drop_login_key(caller, origin(caller))
    return visit.go("/account/login-key")


@blueprint.route("/account/tokens", methods=["GET", "POST"])
@signed_in
def tokens(caller: Caller) -> Response:
    if request.method != "POST":
        return _tokens(caller)
    try:
        given = schemas.NewAccessToken().load(_token_form())
        _, secret = house().access_tokens.add(caller, given, origin(caller))
    except (Refusal, ValidationError) as error:
        return _tokens(caller, 422, values=request.form, errors=_errors(error, "policy"))
    return _tokens(caller, 201, secret=secret)


@blueprint.post("/account/tokens/<token_id>/rotate")
@signed_in
def rotate_token(caller: Caller, token_id: str) -> Response:
    return _tokens(caller, 201, secret=house().access_tokens.rotate(caller, token_id, origin(caller))[1])


@blueprint.post("/account/tokens/<token_id>/remove")
@signed_in
def remove_token(caller: Caller, token_id: str) -> Response:
    house().access_tokens.remove(caller, token_id, origin(caller))
    return visit.go("/account/tokens")


def _tokens(caller: Caller, status: int = 200, **shown: Any) -> Response:
    house().verifier.last_used.flush()
    found, total = house().access_tokens.page(caller, 1, 200)
    values = {"values": {}, "errors": {}, "secret": None, **shown}
    choices = {"allowed": ALLOWED, "lifetimes": LIFETIMES}
    return visit.page("tokens.html", status, tokens=found, total=total, **choices, **values)


def _token_form() -> dict[str, Any]:
    """The form as the API takes it. The policy is written one entry a line: `device: read, edit`."""
    lifetime = request.form.get("expires_in", "never")
    policy = []
    for line in request.form.get("policy", "").splitlines():
        if line.strip():
            resource, _, actions = line.rpartition(":")
            policy.append({"resource": resource.strip(), "actions": [one for one in actions.replace(",", " ").split() if one]})
    return {
        "kind": request.form.get("kind", ""),
        "label": request.form.get("label", "").strip(),
        "permission": request.form.get("permission", ""),
        "policy": policy,
        **({"expires_in": int(lifetime)} if lifetime.isdecimal() and len(lifetime) < 12 else {}),
    }


def _errors(error: Refusal | ValidationError, field: str) -> dict[str, str]:
    """One sentence a field. field: where a sentence stands that names none."""
    if isinstance(error, ValidationError):
        return {
            str(name): " ".join(map(str, why)) if isinstance(why, list) else "Not valid."
            for name, why in error.normalized_messages().items()
        }
    found = visit.field_errors(error)
    return {field if name == "_" else name: why for name, why in found.items()}
