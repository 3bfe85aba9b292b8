"""`/api/certs`: certificates of clients as Tyk's Dashboard shows them. Its answers are those of `/tyk/certs`, with pages."""

from __future__ import annotations

from flask import Response, request

from services.gateway.operator_api import arguments, refusals
from services.gateway.operator_api.access import protected
from services.gateway.operator_api.answers import answer, certificate_answer, pages
from services.gateway.operator_api.changes import certificates
from services.gateway.operator_api.web import gateway

blueprint = protected("certificates", __name__)


@blueprint.get("/api/certs")
def list_certificates() -> Response:
    """List ids; with `mode=detailed` what is to be said of each, too. `org_id`: of one organisation only."""
    number, size = arguments.page()
    detailed = arguments.detailed()
    found, total = gateway().certificates_store.page(request.args.get("org_id") or None, number=number, size=size)
    listed = [certificates.in_short(one) if detailed else one.id for one in found]
    return answer({"certs": listed, "pages": pages(total, number, size)})


@blueprint.post("/api/certs")
def add_certificate() -> Response:
    """Body: the certificate (PEM), alone or as the file of a form. `org_id`: whose it is."""
    added = certificates.add(gateway(), request.get_data(cache=True), request.args.get("org_id", ""))
    return certificate_answer("Certificate added", added.unconfirmed, added.warnings, id=added.id)


@blueprint.get("/api/certs/<id>")
def get_certificate(id: str) -> Response:
    found = certificates.existing(gateway(), [id])[0]
    if found is None:
        raise refusals.certificate_unknown()
    return answer(found)


@blueprint.delete("/api/certs/<id>")
def delete_certificate(id: str) -> Response:
    return certificate_answer("removed", certificates.delete(gateway(), id))
