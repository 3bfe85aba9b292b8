"""The check before every save of a definition: it is interpreted, and compiled beside what is served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from services.gateway.compiler import interpret, lint
from services.gateway.definitions.lint import unread_fields, without_effect
from services.gateway.definitions.model import Definition
from services.gateway.definitions.reader import Mistake, Mistakes
from services.gateway.middleware import certificate_key, client_certificate
from services.gateway.operator_api import refusals
from services.gateway.operator_api.changes import hook_references, loops
from services.gateway.operator_api.changes.filling import filled
from services.gateway.operator_api.changes.owning import own_organisation
from services.gateway.operator_api.changes.ports import Gateway
from services.gateway.stores.definition_model import ReadOnly

_LONGEST_PATH: Final = 1024
_NOWHERE_ELSE: Final[Mapping[str, str]] = {}


class Linted(NamedTuple):
    """mistakes: they would stop a save. warnings: they would not."""

    mistakes: tuple[Mistake, ...]
    warnings: list[Mistake]


def refuse_files(gateway: Gateway) -> None:
    """Raise OperatorRefusal when the definitions come from files: nothing can be written then."""
    if gateway.definitions.source == "files":
        raise refusals.definitions_from_files()


def checked(
    gateway: Gateway, document: Mapping[str, Any], prefix: str, replaces: str | None, sources: Mapping[str, str] = _NOWHERE_ELSE
) -> Definition:
    """Return the Definition of a document that can be saved.

    prefix: the pointer of the definition in the caller's document, for mistakes. replaces: the api_id of the definition that goes.
    sources: of handlers that came from hook references. Raises OperatorRefusal with every mistake.
    """
    gateway.caller.check(document.get("org_id"))
    try:
        definition = interpret(document)
        hook_references.refuse_of_others(gateway, definition)
        if len(definition.proxy.listen_path) > _LONGEST_PATH:
            raise Mistakes([Mistake("/proxy/listen_path", f"listen_path must not be longer than {_LONGEST_PATH} characters")])
        gateway.check(definition, replaces)
    except Mistakes as error:
        placed = (Mistake(hook_references.place(mistake.pointer, sources, prefix), mistake.message) for mistake in error.mistakes)
        kept = (Mistake(prefix + one.pointer, one.message) for one in unread_fields(error.unread))
        raise refusals.invalid("definition", Mistakes(placed), warnings=kept) from None
    except ReadOnly:
        raise refusals.definitions_from_files() from None
    return definition


def warnings_of(gateway: Gateway, definition: Definition, prefix: str) -> list[Mistake]:
    """List what is kept and has no effect, and what lets nobody in. prefix: as for `checked`."""
    found = (*without_effect(definition), *_of_certificates(gateway, definition), *loops.unknown(gateway.live.current, definition))
    return [Mistake(prefix + one.pointer, one.message) for one in found]


def _of_certificates(gateway: Gateway, definition: Definition) -> Iterator[Mistake]:
    """Warn of certificates that are asked for and that nobody can show."""
    spec = definition.spec(client_certificate.Spec)
    of_keys = definition.spec(certificate_key.Spec)
    if not gateway.speaks_tls and (spec is not None or of_keys is not None):
        field = "/use_mutual_tls_auth" if spec is not None else "/auth/use_certificate"
        yield Mistake(field, "the public port does not speak TLS (GATEWAY_TLS_CERTIFICATE), so nobody passes")
    if spec is None:
        return
    if not spec.ids:
        yield Mistake("/client_certificates", "client_certificates is empty, so nobody passes")
    stored = gateway.certificates_store.owners(spec.ids) if spec.ids else {}
    for index, id in enumerate(spec.ids):
        if id not in stored:
            yield Mistake(
                f"/client_certificates/{index}", "there is no certificate with this id yet (POST /tyk/certs), so nobody passes by it"
            )


def linted(gateway: Gateway, raw: Mapping[str, Any]) -> Linted:
    """Return all mistakes and warnings that saving `raw` would have; nothing is stored."""
    document = filled(raw, own_organisation(gateway))
    before = gateway.definitions.get(str(document["api_id"]))
    try:
        definition = interpret(document)
        gateway.caller.check(definition.org_id)
        hook_references.refuse_of_others(gateway, definition)
        gateway.check(definition, None if before is None else before.api_id)
    except Mistakes as error:
        return Linted(error.mistakes, unread_fields(error.unread))
    return Linted((), [*lint(definition), *_of_certificates(gateway, definition), *loops.unknown(gateway.live.current, definition)])
