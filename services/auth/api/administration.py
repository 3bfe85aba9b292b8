"""For administrators: users, domains, role tokens, clients, signing keys, audit."""

from __future__ import annotations

from typing import Any

from services.auth import answers as shown
from services.auth import schemas
from services.auth.access import require_password
from services.auth.api import shapes
from services.auth.api.shapes import user_shown
from services.auth.audit import store as audit_store
from services.auth.people import store as user_store
from services.auth.web import administrator, answers, caller, etag, if_match, listed, needs, origin, parts, super_user
from services.common.documented import Blueprint

blueprint = Blueprint("administration", __name__, description="Users, domains, role tokens, clients, signing keys, audit.")
Answer = dict[str, Any]
Tagged = tuple[Answer, int, dict[str, str]]


@blueprint.get("/users")
@needs(administrator)
@blueprint.arguments(schemas.UserPage, location="query")
@answers(blueprint, 200, shown.UserList)
def users(asked: Answer) -> Answer:
    """Domain admin: of the own domain; super user: all."""
    wanted = user_store.Filter(asked.get("domain"), asked.get("level"), asked.get("active"), asked.get("q"))
    return listed(parts().people.page(caller(), wanted, asked["page"], asked["per_page"]), user_shown, asked)


@blueprint.post("/users")
@needs(administrator)
@blueprint.arguments(schemas.NewUser)
@answers(blueprint, 201, shown.User)
def new_user(given: Answer) -> Tagged:
    who = caller()
    user = parts().people.add(who, given, origin(who))
    return user_shown(user), 201, etag(user.version)


@blueprint.get("/users/<user_id>")
@needs(administrator)
@answers(blueprint, 200, shown.User)
def user(user_id: str) -> Tagged:
    found = parts().people.get(caller(), user_id)
    return user_shown(found), 200, etag(found.version)


@blueprint.patch("/users/<user_id>")
@needs(administrator)
@blueprint.arguments(schemas.UserChange)
@answers(blueprint, 200, shown.User)
@blueprint.alt_response(412, schema=shown.REFUSED, description="somebody changed the user meanwhile")
def change_user(given: Answer, user_id: str) -> Tagged:
    """With If-Match only when nobody has changed the user since."""
    who = caller()
    changed = parts().people.change(who, user_id, given, origin(who), if_match())
    return user_shown(changed), 200, etag(changed.version)


@blueprint.delete("/users/<user_id>")
@needs(administrator)
@blueprint.response(204)
def remove_user(user_id: str) -> None:
    who = caller()
    parts().people.remove(who, user_id, origin(who), if_match())


@blueprint.post("/users/<user_id>/password")
@needs(administrator)
@blueprint.arguments(schemas.NewPassword)
@blueprint.response(204)
def set_password(given: Answer, user_id: str) -> None:
    """Ends all sign-ins and the login key of the user."""
    who = caller()
    parts().people.set_password(who, user_id, given["new_password"], origin(who))


@blueprint.get("/domains")
@needs(super_user)
@blueprint.arguments(schemas.Page, location="query")
@answers(blueprint, 200, shown.DomainList)
def domains(asked: Answer) -> Answer:
    super_user()
    return listed(parts().domains.page(asked["page"], asked["per_page"]), shapes.domain, asked)


@blueprint.post("/domains")
@needs(super_user)
@blueprint.arguments(schemas.NewDomain)
@answers(blueprint, 201, shown.Domain)
def new_domain(given: Answer) -> Answer:
    return shapes.domain(parts().domains.add(given["name"], given["login_key_lifetime_s"], origin(super_user())))


@blueprint.patch("/domains/<name>")
@needs(super_user)
@blueprint.arguments(schemas.DomainChange)
@answers(blueprint, 200, shown.Domain)
def change_domain(given: Answer, name: str) -> Answer:
    return shapes.domain(parts().domains.change(name, given["login_key_lifetime_s"], origin(super_user())))


@blueprint.delete("/domains/<name>")
@needs(super_user)
@blueprint.response(204)
def remove_domain(name: str) -> None:
    parts().domains.remove(name, origin(super_user()))


@blueprint.get("/role-tokens")
@needs(super_user)
@blueprint.arguments(schemas.SubjectPage, location="query")
@answers(blueprint, 200, shown.RoleTokenList)
def role_tokens(asked: Answer) -> Answer:
    """Those not revoked, and the cut-offs."""
    super_user()
    found = parts().role_tokens.page(asked.get("subject"), asked["page"], asked["per_page"])
    return {**listed(found, shapes.role_token, asked), "cut_offs": [shapes.cut_off(one) for one in parts().role_tokens.cut_offs()]}


@blueprint.post("/role-tokens")
@needs(super_user)
@blueprint.arguments(schemas.NewRoleToken)
@answers(blueprint, 201, shown.RoleToken)
def new_role_token(given: Answer) -> Answer:
    """The answer holds the token, this once."""
    who = super_user()
    return shapes.role_token(
        *parts().role_tokens.issue(given["subject"], given["label"], given.get("expires_in"), given.get("not_before"), origin(who), who)
    )


@blueprint.delete("/role-tokens/<jti>")
@needs(super_user)
@blueprint.response(204)
def revoke_role_token(jti: str) -> None:
    parts().role_tokens.revoke(jti, origin(super_user()))


@blueprint.put("/role-tokens/cut-off/<subject>")
@needs(super_user)
@blueprint.arguments(schemas.CutOff)
@answers(blueprint, 200, shown.SubjectCutOff)
def cut_off(given: Answer, subject: str) -> Answer:
    """Tokens of the subject that were issued earlier are refused."""
    who = super_user()
    return shapes.cut_off(parts().role_tokens.cut_off(subject, given["cut_off"], origin(who), who))


@blueprint.get("/clients")
@needs(super_user)
@blueprint.arguments(schemas.Page, location="query")
@answers(blueprint, 200, shown.ClientList)
def clients(asked: Answer) -> Answer:
    super_user()
    return listed(parts().clients.page(asked["page"], asked["per_page"]), shapes.client, asked)


@blueprint.post("/clients")
@needs(super_user)
@blueprint.arguments(schemas.NewClient)
@answers(blueprint, 201, shown.Client)
def new_client(given: Answer) -> Answer:
    """The answer holds the secret, this once. Not by a login key: a client has no end."""
    who = super_user()
    require_password(who)
    return shapes.client(*parts().clients.add(given, origin(who)))


@blueprint.delete("/clients/<client_id>")
@needs(super_user)
@blueprint.response(204)
def remove_client(client_id: str) -> None:
    parts().clients.remove(client_id, origin(super_user()))


@blueprint.get("/signing-keys")
@needs(super_user)
@answers(blueprint, 200, shown.SigningKeyList)
def signing_keys() -> Answer:
    super_user()
    found = [shapes.signing_key(*one) for one in parts().keys.all_keys()]
    return {"items": found, "total": len(found), "page": 1, "per_page": max(1, len(found))}


@blueprint.post("/signing-keys/rotate")
@needs(super_user)
@blueprint.arguments(schemas.Rotation, required=False)
@answers(blueprint, 201, shown.SigningKey)
def rotate(given: Answer) -> Answer:
    """A new key signs from now on; the old one stays published until the last token that it signed has expired."""
    key = parts().keys.rotate(given["algorithm"], origin(super_user()))
    return shapes.signing_key(key, True)


@blueprint.get("/audit")
@needs(super_user)
@blueprint.arguments(schemas.AuditPage, location="query")
@answers(blueprint, 200, shown.AuditList)
def audit(asked: Answer) -> Answer:
    """Newest first."""
    super_user()
    wanted = audit_store.Filter(asked.get("action"), asked.get("actor_id"), asked.get("target"), asked.get("since"), asked.get("until"))
    return listed(parts().audit.page(wanted, asked["page"], asked["per_page"]), shapes.audit_line, asked)
