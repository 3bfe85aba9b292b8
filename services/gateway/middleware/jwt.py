"""Asks for a JSON Web Token (RFC 7519), and finds out whose it is. A `Bearer ` before the token is taken off.

The token's signature is checked once, with a key that the definition names; until the token ends, or its key leaves the issuer's set, it is
remembered as a digest. Whoever it names is a key that no table has: its rights and limits are those of policies, and its counters the same
for all tokens of this name in one organisation, on all workers and nodes. Which policies: that of the claim `jwt_policy_field_name`, and
those that `jwt_scope_to_policy_mapping` has for the token's scopes; `jwt_default_policies` when the token has neither. A policy that does
not exist, or is of another organisation than the API, refuses the token.

Fields:
* `jwt_source` (1.9): What signatures are checked with: a secret (for `hmac`), a public key or a certificate as PEM, or the http(s) URL of a
  set of keys (JWKS); plain or as base64. `env://NAME` takes it from an environment variable that begins with `UPSTREAM_` or `TYK_`,
  `secrets://NAME` from a file in `GATEWAY_SECRETS_PATH`.
  Differs: Tyk takes base64 only, except of URLs; without it, Tyk looks for a secret in each key, and here that is a mistake. A text that
  is valid base64 counts as base64.
* `jwt_signing_method` (1.9): `hmac` (HS256, HS384, HS512), `rsa` (RS… and PS…), `ecdsa` (ES256, ES384, ES512), or `eddsa` (EdDSA with
  Ed25519), which Tyk does not have. No other algorithm is taken. Differs: It is required, and a key of another kind is a mistake.
* `jwt_jwks_uris` (unknown): Several sets of keys in place of `jwt_source`.
* `jwt_jwks_uris[].url` (unknown): The URL of one set.
* `jwt_identity_base_field` (1.9): The claim that says who calls; empty, or when the token does not have it: `sub`.
* `jwt_client_base_field` (1.9): Has no effect beside `jwt_policy_field_name`, as in Tyk. Differs: Alone it is a mistake: the gateway does
  not look for the policies of a client's key.
* `jwt_policy_field_name` (1.9): The claim that holds the id of a policy. Differs: It may be a list of ids.
* `jwt_default_policies` (2.9): The policies of a token that has none by its claims. Differs: Tyk applies no scopes to a token without
  another policy when there are no default policies.
* `jwt_scope_claim_name` (2.8): The claim with the scopes, a text with spaces between them or a list; `a.b` is `b` in the object `a`. Empty
  = `scope`.
* `jwt_scope_to_policy_mapping` (2.8): By scope, the id of the policy that it adds. A token that has scopes and gets no policy by its
  claims is refused, also when there are default policies.
* `scopes.jwt.scope_claim_name` (4.0): The same as `jwt_scope_claim_name`, which it outranks.
* `scopes.jwt.scope_to_policy` (4.0): The same as `jwt_scope_to_policy_mapping`, which it outranks.
* `jwt_issued_at_validation_skew` (unknown): Seconds that `iat` may be after the gateway's time.
* `jwt_expires_at_validation_skew` (unknown): Seconds for which a token is taken after its `exp`. A token without `exp` does not end.
* `jwt_not_before_validation_skew` (unknown): Seconds that `nbf` may be after the gateway's time.
* `jwt_skip_kid` (unknown): Has no effect: a `kid` is the name of a key in a set, and never who calls, as in Tyk with a `jwt_source`.
* `jwt_allowed_issuers` (own): The values of `iss` that are taken; empty = all.
* `jwt_allowed_audiences` (own): The values of `aud` of which a token must have one; empty = all.
Refusals: key-missing, token-expired, token-used-early, token-not-valid-yet; and those that fire AuthFailure: token-refused,
token-not-for-this-api, token-without-identity, token-without-policy, token-scope-without-policy.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from services.gateway.bearer import BearerTokens
from services.gateway.definitions import values
from services.gateway.definitions.lint import unencrypted_keys
from services.gateway.definitions.model import DEFAULT_ORG, Way
from services.gateway.definitions.reader import Mistake
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.token_fields import read_claim_names, read_policies, read_skews
from services.gateway.keys.claims import ClaimRules, keeping, read_claims
from services.gateway.keys.token_checks import TokenChecks
from services.gateway.keys.tokens import ALGORITHMS, VerifyingKey, fixed_key
from services.gateway.ports import Ports

_LEAST_SECRET: Final = 32  # bytes; RFC 7518, 3.2
_NO_SOURCE: Final = (
    "must be a secret, a public key or certificate (PEM), or the URL of a set of keys; secrets of single keys (jwt_data) are not served"
)
_CLIENTS: Final = "not available yet: the policies of a client's key; name the claim that holds a policy in jwt_policy_field_name"
_NEVER_MET: Final = "no token gets a policy: give jwt_default_policies, jwt_policy_field_name or jwt_scope_to_policy_mapping"


@dataclass(frozen=True, slots=True)
class Spec:
    """key: that all tokens are signed with; None = that of the sets at `urls`. algorithms: that are taken. claims: the names of those that
    later stages may ask for, None = all.
    """

    realm: str
    way: Way
    algorithms: frozenset[str]
    rules: ClaimRules
    key: VerifyingKey | None = field(default=None, compare=False)
    urls: tuple[str, ...] = ()
    claims: frozenset[str] | None = frozenset()


def fields(reader: DefinitionReader) -> Spec | None:
    """Read who signs, who calls, and which policies apply; None when the API asks for no token."""
    way = reader.definition.ways.get("jwt_claim")
    kind = reader.text("jwt_signing_method")
    source = reader.text("jwt_source")
    urls = _urls(reader)
    client_claim, policy_claim = reader.text("jwt_client_base_field"), reader.text("jwt_policy_field_name")
    defaults = tuple(one for one, _ in reader.texts("jwt_default_policies") if one)
    later = reader.opaque("scopes").opaque("jwt")
    scope_claim = later.text("scope_claim_name") or reader.text("jwt_scope_claim_name") or "scope"
    own_scopes = read_policies(reader, "jwt_scope_to_policy_mapping")
    scopes = read_policies(later, "scope_to_policy") or own_scopes
    skews = read_skews(reader)
    reader.flag("jwt_skip_kid")
    issuers, audiences = (frozenset(one for one, _ in reader.texts(name)) for name in ("jwt_allowed_issuers", "jwt_allowed_audiences"))
    identity_claim = reader.text("jwt_identity_base_field") or "sub"
    if way is None:
        return None
    if client_claim and not policy_claim:
        reader.mistake("jwt_client_base_field", _CLIENTS)
    key = None
    if kind not in ALGORITHMS:
        reader.mistake("jwt_signing_method", f"must be one of {', '.join(ALGORITHMS)}, not `{kind[:50]}`")
    elif not urls:
        key, urls = _key_or_url(reader, kind, source)
    if kind == "hmac" and urls:
        reader.mistake("jwt_jwks_uris" if "jwt_jwks_uris" in reader else "jwt_source", "must be a secret: sets of keys hold none for hmac")
    rules = ClaimRules(
        org_id=reader.definition.org_id or DEFAULT_ORG,
        identity=identity_claim,
        policy=policy_claim,
        default_policies=defaults,
        scope=scope_claim,
        scopes=scopes,
        skews=skews,
        issuers=issuers,
        audiences=audiences,
    )
    return Spec(
        reader.definition.name, way, ALGORITHMS.get(kind, frozenset()), rules, key, urls, read_claim_names(reader, reader.definition.raw)
    )


def _urls(reader: DefinitionReader) -> tuple[str, ...]:
    found = []
    for given, pointer in reader.items("jwt_jwks_uris"):
        one = reader.member(given, pointer)
        url = one.text("url")
        if not values.is_url(url):
            one.mistake("url", "must be an http(s) URL")
        found.append(url)
    return tuple(dict.fromkeys(found))


def _key_or_url(reader: DefinitionReader, kind: str, source: str) -> tuple[VerifyingKey | None, tuple[str, ...]]:
    """Return the key of `jwt_source`, or its URL. Adds a mistake when it is neither."""
    material = _decoded(source)
    if not material:
        reader.mistake("jwt_source", _NO_SOURCE)
        return None, ()
    text = material.decode("utf-8", "replace").strip()
    if text[:8].lower().startswith(("http://", "https://")):
        if not values.is_url(text):
            reader.mistake("jwt_source", "is not a valid http(s) URL")
        return None, (text,)
    try:
        return fixed_key(kind, material), ()
    except ValueError as error:
        reader.mistake("jwt_source", str(error))
        return None, ()


def _decoded(source: str) -> bytes:
    """Return what base64 stands for, and any other text as it is."""
    try:
        return base64.b64decode("".join(source.split()), validate=True) if source.strip() else b""
    except ValueError:
        return source.strip().encode()


def warnings(reader: DefinitionReader) -> Iterator[Mistake]:
    """Warn of a secret in the definition, of a short one, and of tokens that can never pass. It sees `env://` as it was given."""
    spec = fields(reader)
    if spec is None:
        return
    source = reader.text("jwt_source")
    if spec.key is not None and "HS256" in spec.algorithms and not source.startswith(("env://", "secrets://", "file://")):
        yield Mistake(
            "/jwt_source", "the secret is in the definition, for everybody who may read that; use env://TYK_NAME or secrets://NAME instead"
        )
        if len(_decoded(source)) < _LEAST_SECRET:
            yield Mistake("/jwt_source", f"the secret has fewer than {_LEAST_SECRET} bytes, and can be guessed from a token")
    if not (spec.rules.policy or spec.rules.default_policies or spec.rules.scopes):
        yield Mistake("/jwt_default_policies", _NEVER_MET)
    place = "/jwt_jwks_uris" if _urls(reader) else "/jwt_source"
    yield from (Mistake(place, wrong) for url in spec.urls if (wrong := unencrypted_keys(url)))


def build(spec: Spec, ports: Ports) -> Jwt:
    """Build the check from the keys of the issuer, and those that stand for whom its tokens name."""
    return Jwt(spec, ports)


class Jwt(BearerTokens):
    """Sets the exchange's key and `exchange.presented_key`, which is the name that the token gives."""

    __slots__ = ()

    def __init__(self, spec: Spec, ports: Ports) -> None:
        rules, names = spec.rules, spec.claims
        sets = {"": [ports.key_sets.of(url) for url in spec.urls]}
        checks = TokenChecks(
            spec.realm, spec.algorithms, spec.key, sets, lambda claims: keeping(read_claims(claims, rules), claims, names),
            ports.keys, ports.tokens, ports.now,
        )  # fmt: skip
        nameless = f"The claim `{rules.identity}` or `sub` must be a text, which names who calls."
        super().__init__(spec.realm, spec.way, checks, ports.now, "a JSON Web Token", nameless)
