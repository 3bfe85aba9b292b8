"""`/tyk/certs`: certificates of clients as Tyk's gateway API shows them."""

from __future__ import annotations

from flask import Response, request

from services.gateway.operator_api import arguments, refusals
from services.gateway.operator_api.access import protected
from services.gateway.operator_api.answers import answer, certificate_answer
from services.gateway.operator_api.changes import certificates
from services.gateway.operator_api.web import gateway

blueprint = protected("tyk_certificates", __name__)


@blueprint.get("/tyk/certs")
def list_certificates() -> Response:
    """List ids; with `mode=detailed` what is to be said of each, too. `org_id`: of one organisation only."""
    detailed = arguments.detailed()
    found, _ = gateway().certificates_store.page(request.args.get("org_id") or None)
    return answer({"certs": [certificates.in_short(one) if detailed else one.id for one in found]})


@blueprint.post("/tyk/certs")
def add_certificate() -> Response:
    """Body: the certificate (PEM). `org_id`: whose it is."""
    added = certificates.add(gateway(), request.get_data(cache=True), request.args.get("org_id", ""))
    return certificate_answer("Certificate added", added.unconfirmed, added.warnings, id=added.id)


@blueprint.get("/tyk/certs/<ids>")
def get_certificates(ids: str) -> Response:
    """`ids`: one, or several with commas between; then null stands for one that is not stored."""
    found = certificates.existing(gateway(), ids.split(","))
    if len(found) > 1:
        return answer(found)
    if found[0] is None:
        raise refusals.certificate_unknown()
    return answer(found[0])


@blueprint.delete("/tyk/certs/<id>")
def delete_certificate(id: str) -> Response:
    """Answers `removed` even when there was none, as Tyk does."""
    return certificate_answer("removed", certificates.delete(gateway(), id))
