"""Domains, for super users: `/domains`."""

from __future__ import annotations

from typing import Any

from services.auth.people import schemas
from services.auth.schemas import Page
from services.auth.web import answers, listed, needs, origin, parts, super_user
from services.common.documented import Blueprint

blueprint = Blueprint("domains", __name__)
Answer = dict[str, Any]


@blueprint.get("/domains")
@needs(super_user)
@blueprint.arguments(Page, location="query")
@answers(blueprint, 200, schemas.DomainList)
def domains(asked: Answer) -> Answer:
    super_user()
    return listed(parts().domains.page(asked["page"], asked["per_page"]), schemas.domain, asked)


@blueprint.post("/domains")
@needs(super_user)
@blueprint.arguments(schemas.NewDomain)
@answers(blueprint, 201, schemas.Domain)
def new_domain(given: Answer) -> Answer:
    return schemas.domain(parts().domains.add(given["name"], given["login_key_lifetime_s"], origin(super_user())))


@blueprint.patch("/domains/<name>")
@needs(super_user)
@blueprint.arguments(schemas.DomainChange)
@answers(blueprint, 200, schemas.Domain)
def change_domain(given: Answer, name: str) -> Answer:
    return schemas.domain(parts().domains.change(name, given["login_key_lifetime_s"], origin(super_user())))


@blueprint.delete("/domains/<name>")
@needs(super_user)
@blueprint.response(204)
def remove_domain(name: str) -> None:
    parts().domains.remove(name, origin(super_user()))
