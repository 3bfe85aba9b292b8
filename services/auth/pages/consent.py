"""The page between an application and a person: who wants what, allow or not."""

from __future__ import annotations

from authlib.oauth2 import OAuth2Error
from flask import Blueprint, Response, current_app, request

from services.auth.access import LOGIN_KEY
from services.auth.pages import visit
from services.auth.pages.account import refused
from services.common.refusal import Refusal

blueprint = Blueprint("consent", __name__, template_folder="templates")
blueprint.register_error_handler(Refusal, refused)
MEANING = {
    "openid": "Know that it is you",
    "profile": "See your name",
    "email": "See your e-mail address",
    "sessions": "Start and join sessions in your name",
    "tokens": "Use the archive of tokens in your name",
    "devices": "Read and control your devices",
    "mobility": "Read and change mobility data in your name",
}


@blueprint.route("/oauth/authorize", methods=["GET", "POST"])
def authorize() -> Response:
    """Ask (GET) and take the answer (POST). Both check the application's request from the start."""
    server = current_app.extensions["oauth"]
    here = visit.visitor()
    if request.method == "POST":
        if here is None:
            return visit.to_sign_in()
        visit.check_form()
    try:
        grant = server.get_consent_grant(end_user=here)
    except OAuth2Error as error:
        return _refused(error)
    if here is None:
        return visit.to_sign_in()
    if here.caller.method == LOGIN_KEY:
        return visit.to_sign_in("password")  # what an application gets may outlive the key
    if request.method != "POST":
        client = grant.request.client.client
        wanted = [MEANING[scope] for scope in grant.request.scope.split()]
        return visit.page("consent.html", leads_to=grant.redirect_uri, client=client, wanted=wanted, redirect_uri=grant.redirect_uri)
    allowed = request.form.get("decision") == "allow"
    answer: Response = server.create_authorization_response(grant_user=here if allowed else None, grant=grant)
    answer.status_code = 303 if answer.status_code == 302 else answer.status_code
    return visit.protect(answer)


def _refused(error: OAuth2Error) -> Response:
    """Send the error to the application, when it is known and its address is right; else show a page: no redirect leads to others."""
    server = current_app.extensions["oauth"]
    if error.redirect_uri:
        answer: Response = server.handle_error_response(None, error)
        server.execute_hook("after_create_authorization_response", answer)
        return visit.protect(answer)
    message = {"_": error.get_error_description() or "The application's request is not right."}
    return visit.page("message.html", 400, title="The application asked for something that is not possible", message=message)
