"""Signing in, and everybody's own account: `/login` and `/me`."""

from __future__ import annotations

from typing import Any

from services.auth import answers as shown
from services.auth import refusals, schemas
from services.auth.api import shapes
from services.auth.api.shapes import user_shown
from services.auth.web import answers, caller, etag, if_match, listed, needs, origin, parts, reader
from services.common.documented import Blueprint

blueprint = Blueprint("account", __name__, description="Signing in, and one's own account.")
Answer = dict[str, Any]


@blueprint.post("/login")
@blueprint.arguments(schemas.Login)
@answers(blueprint, 200, shown.SignInTokens)
@blueprint.alt_response(401, schema=shown.REFUSED, description="invalid credentials")
@blueprint.alt_response(429, schema=shown.REFUSED, description="too many failures; Retry-After says when")
def login(given: Answer) -> Answer:
    """E-mail with password or login key → access token and refresh token."""
    return parts().sign_in.log_in(given["email"], given["password"], origin()).shown()


@blueprint.get("/me")
@needs(reader)
@answers(blueprint, 200, shown.Me)
def me() -> tuple[Answer, int, dict[str, str]]:
    """An application needs the scope `profile`, and sees the e-mail address with `email` alone."""
    who, application = reader()
    seen = user_shown(who.user)
    if application is not None and "email" not in application.scopes:
        del seen["email"]
    return seen, 200, etag(who.user.version)


@blueprint.patch("/me")
@needs(caller)
@blueprint.arguments(schemas.OwnChange)
@answers(blueprint, 200, shown.User)
def change_me(given: Answer) -> tuple[Answer, int, dict[str, str]]:
    who = caller()
    user = parts().people.change_own(who, given, origin(who), if_match())
    return user_shown(user), 200, etag(user.version)


@blueprint.post("/me/password")
@needs(caller)
@blueprint.arguments(schemas.PasswordChange)
@blueprint.response(204)
def change_password(given: Answer) -> None:
    """Needs the current password itself; ends all sign-ins and the login key."""
    who = caller()
    parts().passwords.change_own(who, given["current_password"], given["new_password"], origin(who))


@blueprint.get("/me/login-key")
@needs(caller)
@answers(blueprint, 200, shown.LoginKey)
def login_key() -> Answer:
    """When the key was made and when it ends; the key itself was shown once."""
    key = parts().login_keys.get(caller())
    if key is None:
        raise refusals.not_found("login key")
    return {"created_at": shapes.moment(key.created_at), "expires_at": shapes.moment(key.expires_at)}


@blueprint.post("/me/login-key")
@needs(caller)
@answers(blueprint, 201, shown.MadeLoginKey)
def new_login_key() -> Answer:
    """A new key; the one before ends."""
    who = caller()
    key, expires = parts().login_keys.add(who, origin(who))
    return {"key": key, "expires_at": shapes.moment(expires)}


@blueprint.delete("/me/login-key")
@needs(caller)
@blueprint.response(204)
def remove_login_key() -> None:
    who = caller()
    if not parts().login_keys.remove(who, origin(who)):
        raise refusals.not_found("login key")


@blueprint.get("/me/tokens")
@needs(caller)
@blueprint.arguments(schemas.Page, location="query")
@answers(blueprint, 200, shown.AccessTokenList)
def tokens(asked: Answer) -> Answer:
    who = caller()
    parts().last_used.flush()
    return listed(parts().access_tokens.page(who, asked["page"], asked["per_page"]), shapes.access_token, asked)


@blueprint.post("/me/tokens")
@needs(caller)
@blueprint.arguments(schemas.NewAccessToken)
@answers(blueprint, 201, shown.AccessToken)
def new_token(given: Answer) -> Answer:
    """The answer holds the secret, this once."""
    who = caller()
    return shapes.access_token(*parts().access_tokens.add(who, given, origin(who)))


@blueprint.delete("/me/tokens/<token_id>")
@needs(caller)
@blueprint.response(204)
def remove_token(token_id: str) -> None:
    who = caller()
    parts().access_tokens.remove(who, token_id, origin(who))


@blueprint.post("/me/tokens/<token_id>/rotate")
@needs(caller)
@answers(blueprint, 200, shown.AccessToken)
def rotate_token(token_id: str) -> Answer:
    """A new secret for the same token; the old one ends at once."""
    who = caller()
    return shapes.access_token(*parts().access_tokens.rotate(who, token_id, origin(who)))
