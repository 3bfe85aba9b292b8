"""The routes of all nouns in four groups, in the order of the OpenAPI document."""

from __future__ import annotations

from services.auth.audit import api as audit
from services.auth.credentials.api import access_tokens, login_key, password, role_tokens, sign_in
from services.auth.oauth.api import clients, discovery, endpoints
from services.auth.people.api import domains, me, users
from services.auth.signing.api import jwks, signing_keys
from services.auth.verification import api as verification
from services.common.documented import Blueprint

ACCOUNT = Blueprint("account", __name__, description="Signing in, and one's own account.")
ADMINISTRATION = Blueprint("administration", __name__, description="Users, domains, role tokens, clients, signing keys, audit.")
VERIFICATION = Blueprint("verification", __name__, description="What a credential is worth.")
OAUTH = Blueprint("oauth", __name__, description="OAuth2 (RFC 6749, 7009, 7636, 7662). Bodies are forms.")
GROUPS = (ACCOUNT, ADMINISTRATION, VERIFICATION, OAUTH)
OF_JSON = (ACCOUNT, ADMINISTRATION, VERIFICATION)  # their bodies; those of OAuth2 are forms

for group, modules in (
    (ACCOUNT, (sign_in, me, password, login_key, access_tokens)),
    (ADMINISTRATION, (users, domains, role_tokens, clients, signing_keys, audit)),
    (VERIFICATION, (verification, jwks, discovery)),
    (OAUTH, (endpoints,)),
):
    for module in modules:
        group.register_blueprint(module.blueprint)
