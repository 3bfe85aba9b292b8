"""Asks for an ID token of an OpenID provider, and finds out whose it is. A `Bearer ` before the token is taken off.

The provider's configuration, below its issuer, says where its keys are; both are fetched with the first token and then every four minutes,
behind the requests. A token is checked once: its signature (RS…, PS…, ES… or EdDSA, never a secret), its issuer, which must be the
definition's to the letter, and its audience, which must name one of the definition's clients; where it has `azp`, that one must be a client
of the definition, too. It needs `sub`, `iat` and `exp`. Whoever it names is a key that no table has, with the rights and limits of the
client's policy; the counters are the same for all tokens of one user of a provider. A policy that does not exist, or is of another
organisation than the API, refuses the token. The fields `jwt_..._validation_skew` count here, too.

Fields:
* `openid_options.providers` (2.1): The providers whose ID tokens are taken. Differs: A list without a provider is a mistake.
* `openid_options.providers[].issuer` (2.1, required): The issuer, an https URL, as the provider itself writes it.
* `openid_options.providers[].client_ids` (2.1, required): By client id, in base64, the id of the policy that its tokens get. Differs: A
  client id that is not base64 of printable ASCII is taken as it is, with a warning; Tyk takes it for an empty one.
* `openid_options.segregate_by_client` (2.1): Counts a user of several clients as several. Differs: Users of two providers are always two;
  in Tyk those with the same `sub` share their limits.
* `scopes.oidc.scope_claim_name` (4.0): The claim with the scopes, as `jwt_scope_claim_name`, which it outranks.
* `scopes.oidc.scope_to_policy` (4.0): By scope, the id of the policy that it adds, in place of those of clients; it outranks
  `jwt_scope_to_policy_mapping`, which counts, too. Differs: A token without one of these scopes is refused.
Refusals: key-missing, token-expired, token-used-early, token-not-valid-yet; and those that fire AuthFailure: token-refused,
token-not-for-this-api, token-without-identity, token-without-policy, token-scope-without-policy.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from services.gateway.bearer import BearerTokens
from services.gateway.definitions import field_names, values
from services.gateway.definitions.lint import unencrypted_keys
from services.gateway.definitions.model import DEFAULT_ORG, Way
from services.gateway.definitions.reader import Mistake, Reader
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.token_fields import read_claim_names, read_policies, read_skews
from services.gateway.keys.claims import keeping
from services.gateway.keys.id_tokens import IdTokenRules, read_id_token
from services.gateway.keys.token_checks import TokenChecks
from services.gateway.keys.tokens import ALGORITHMS
from services.gateway.ports import Ports

_ALGORITHMS: Final = ALGORITHMS["rsa"] | ALGORITHMS["ecdsa"] | ALGORITHMS["eddsa"]
_NO_PROVIDER: Final = "names no provider, so no token would pass: give its issuer and client_ids"
_NO_CLIENT: Final = "names no client, so no token of this provider would pass"
_NO_ISSUER: Final = "must be an http(s) URL, without a query, a fragment or a user name"
_NO_POLICY: Final = "must be the id of a policy"
_NAMELESS: Final = "The claim `sub` must be a text, which names who calls."


@dataclass(frozen=True, slots=True)
class Spec:
    """realm: the API's name. claims: the names of those that later stages may ask for, None = all."""

    realm: str
    way: Way
    rules: IdTokenRules
    claims: frozenset[str] | None = frozenset()


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the providers, their clients and policies; None when the API asks for no ID token. Then only the types are checked."""
    way = reader.definition.ways.get("oidc_user")
    options = reader.object("openid_options", field_names.OPENID_OPTIONS)
    segregated = options.flag("segregate_by_client")
    providers = [_Provider(options.member(given, pointer, field_names.PROVIDER)) for given, pointer in options.items("providers")]
    later = reader.opaque("scopes").opaque("oidc")
    scope_claim = later.text("scope_claim_name") or reader.text("jwt_scope_claim_name") or "scope"
    scopes = read_policies(later, "scope_to_policy") or read_policies(reader, "jwt_scope_to_policy_mapping")
    skews = read_skews(reader)
    if way is None:
        return None
    if not providers:
        options.mistake("providers", _NO_PROVIDER)
    clients: dict[str, Mapping[str, str]] = {}
    for one in providers:
        one.check(clients, bool(scopes))
        clients[one.issuer] = {id: policy for id, policy, _, _ in one.clients}
    rules = IdTokenRules(
        org_id=reader.definition.org_id or DEFAULT_ORG,
        clients=clients,
        segregated=segregated,
        scope=scope_claim,
        scopes=scopes,
        skews=skews,
    )
    return Spec(reader.definition.name, way, rules, read_claim_names(reader, reader.definition.raw))


class _Provider:
    """One entry of the list. clients: id, policy, pointer, and whether the id was in base64."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.issuer = reader.text("issuer")
        self.clients: list[tuple[str, Any, str, bool]] = []
        for key, policy, pointer in reader.mapping("client_ids"):
            id, encoded = _client_id(key)
            self.clients.append((id, policy, pointer, encoded))

    def check(self, before: Mapping[str, object], any_policy: bool) -> None:
        """Add the mistakes. before: the issuers of the entries before. any_policy: whether policies may be left out."""
        reader = self._reader
        if not _is_issuer(self.issuer):
            reader.mistake("issuer", _NO_ISSUER)
        elif self.issuer in before:
            reader.mistake("issuer", "is the issuer of another entry, too; put all clients of a provider in one")
        if not self.clients:
            reader.mistake("client_ids", _NO_CLIENT)
        known: set[str] = set()
        for id, policy, pointer, _ in self.clients:
            if not id:
                reader.report.add(pointer, "must be the id of a client")
            elif id in known:
                reader.report.add(pointer, "is the same client as one before: once in base64, and once as it is")
            elif not isinstance(policy, str) or not (policy or any_policy):
                reader.report.add(pointer, _NO_POLICY)
            known.add(id)


def _client_id(key: str) -> tuple[str, bool]:
    """Return the client id that a key stands for, and whether it was in base64. A client id is printable ASCII (RFC 6749, A.1)."""
    try:
        found = base64.b64decode(key, validate=True).decode("ascii")
    except ValueError:
        return key, False
    return (found, True) if found.isprintable() else (key, False)


def _is_issuer(text: str) -> bool:
    if not (values.is_url(text) and text.isprintable()) or any(sign in text for sign in " ?#"):
        return False
    return "@" not in urlsplit(text).netloc


def warnings(reader: DefinitionReader) -> Iterator[Mistake]:
    """Warn of keys that come unencrypted, and of client ids that Tyk would not take."""
    if fields(reader) is None:
        return
    options = reader.object("openid_options", field_names.OPENID_OPTIONS)
    for given, pointer in options.items("providers"):
        one = options.member(given, pointer, field_names.PROVIDER)
        provider = _Provider(one)
        wrong = unencrypted_keys(provider.issuer)
        if wrong:
            yield Mistake(one.at("issuer"), wrong)
        for id, _, place, encoded in provider.clients:
            if not encoded:
                written = base64.b64encode(id.encode()).decode()
                yield Mistake(place, f"the client id is taken as it is; Tyk reads base64 here, `{written[:200]}`")


def build(spec: Spec, ports: Ports) -> OpenId:
    """Build the check from the keys of the providers, and those that stand for whom their tokens name."""
    return OpenId(spec, ports)


class OpenId(BearerTokens):
    """Sets the exchange's key and `exchange.presented_key`, which is the `sub` of the token."""

    __slots__ = ()

    def __init__(self, spec: Spec, ports: Ports) -> None:
        rules, names = spec.rules, spec.claims
        sets = {issuer: [ports.key_sets.of_issuer(issuer)] for issuer in rules.clients}
        checks = TokenChecks(
            spec.realm, _ALGORITHMS, None, sets, lambda claims: keeping(read_id_token(claims, rules), claims, names),
            ports.keys, ports.tokens, ports.now,
        )  # fmt: skip
        super().__init__(spec.realm, spec.way, checks, ports.now, "an ID token", _NAMELESS)
