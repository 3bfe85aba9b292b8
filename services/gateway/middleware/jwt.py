"""Asks for a JSON Web Token (RFC 7519), and finds out whose it is. A `Bearer ` before the token is taken off.

The token's signature is checked once, with a key that the definition names; until the token ends, or its key leaves the issuer's set, it is
remembered as a digest. Whoever it names is a key that no table has: its rights and limits are those of policies, and its counters the same
for all tokens of this name in one organisation, on all workers and nodes. Which policies: that of the claim `jwt_policy_field_name`, and
those that `jwt_scope_to_policy_mapping` has for the token's scopes; `jwt_default_policies` when the token has neither. A policy that does
not exist, or is of another organisation than the API, refuses the token.

Fields:
* `jwt_source` (1.9): What signatures are checked with: a secret (for `hmac`), a public key or a certificate as PEM, or the http(s) URL of a
  set of keys (JWKS); plain or as base64. `env://NAME` takes it from an environment variable that begins with `UPSTREAM_` or `TYK_`.
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

import asyncio
import base64
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from services.common import logging as logs
from services.common.remembered import Remembered
from services.gateway.credentials import Credential, challenge
from services.gateway.definitions.lint import stays_here
from services.gateway.definitions.model import DEFAULT_ORG, Way
from services.gateway.definitions.reader import Mistake, Reader
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange
from services.gateway.keys.claims import ClaimRules, Said, read_claims
from services.gateway.keys.key_sets import KeySet
from services.gateway.keys.model import Key, Made
from services.gateway.keys.tokens import ALGORITHMS, LONGEST, Header, TokenVerifier, VerifyingKey, fixed_key, read_header
from services.gateway.ports import Ports
from services.gateway.refusals import (
    KEY_MISSING,
    TOKEN_EXPIRED,
    TOKEN_NOT_FOR_THIS,
    TOKEN_NOT_VALID_YET,
    TOKEN_REFUSED,
    TOKEN_SCOPE_WITHOUT_POLICY,
    TOKEN_USED_EARLY,
    TOKEN_WITHOUT_IDENTITY,
    TOKEN_WITHOUT_POLICY,
    Refusal,
    RefusalKind,
)

log = logs.get(__name__)

# Seconds for which a token that was refused is refused without a check.
_WRONG_FOR: Final = 1.0
_MOST_TOLD: Final = 100
_LEAST_SECRET: Final = 32  # bytes; RFC 7518, 3.2
_MOST_SKEW: Final = 31_536_000
_NO_SOURCE: Final = (
    "must be a secret, a public key or certificate (PEM), or the URL of a set of keys; secrets of single keys (jwt_data) are not served"
)
_CLIENTS: Final = "not available yet: the policies of a client's key; name the claim that holds a policy in jwt_policy_field_name"
_LACKING: Final[Mapping[str, RefusalKind]] = {
    "issuer": TOKEN_NOT_FOR_THIS,
    "audience": TOKEN_NOT_FOR_THIS,
    "policy": TOKEN_WITHOUT_POLICY,
    "policy of a scope": TOKEN_SCOPE_WITHOUT_POLICY,
}
_NEVER_MET: Final = "no token gets a policy: give jwt_default_policies, jwt_policy_field_name or jwt_scope_to_policy_mapping"


@dataclass(frozen=True, slots=True)
class Spec:
    """key: that all tokens are signed with; None = that of the sets at `urls`. algorithms: that are taken."""

    realm: str
    way: Way
    algorithms: frozenset[str]
    rules: ClaimRules
    key: VerifyingKey | None = field(default=None, compare=False)
    urls: tuple[str, ...] = ()


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
    own_scopes = _mapping(reader, "jwt_scope_to_policy_mapping")
    scopes = _mapping(later, "scope_to_policy") or own_scopes
    skews = [reader.integer(f"jwt_{name}_validation_skew", 0, 0, _MOST_SKEW) for name in ("issued_at", "not_before", "expires_at")]
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
        skews=(skews[0], skews[1], skews[2]),
        issuers=issuers,
        audiences=audiences,
    )
    return Spec(reader.definition.name, way, ALGORITHMS.get(kind, frozenset()), rules, key, urls)


def _urls(reader: DefinitionReader) -> tuple[str, ...]:
    found = []
    for given, pointer in reader.items("jwt_jwks_uris"):
        one = reader.member(given, pointer)
        url = one.text("url")
        if not _is_url(url):
            one.mistake("url", "must be an http(s) URL")
        found.append(url)
    return tuple(dict.fromkeys(found))


def _mapping(reader: Reader, name: str) -> dict[str, str]:
    found = {}
    for scope, policy, pointer in reader.mapping(name):
        if isinstance(policy, str) and policy:
            found[scope] = policy
        else:
            reader.report.add(pointer, "must be the id of a policy")
    return found


def _key_or_url(reader: DefinitionReader, kind: str, source: str) -> tuple[VerifyingKey | None, tuple[str, ...]]:
    """Return the key of `jwt_source`, or its URL. Adds a mistake when it is neither."""
    material = _decoded(source)
    if not material:
        reader.mistake("jwt_source", _NO_SOURCE)
        return None, ()
    text = material.decode("utf-8", "replace").strip()
    if text[:8].lower().startswith(("http://", "https://")):
        if not _is_url(text):
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


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return (
            parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0) and text.isascii()
        )
    except ValueError:
        return False


def warnings(reader: DefinitionReader) -> Iterator[Mistake]:
    """Warn of a secret in the definition, of a short one, and of tokens that can never pass. It sees `env://` as it was given."""
    spec = fields(reader)
    if spec is None:
        return
    source = reader.text("jwt_source")
    if spec.key is not None and "HS256" in spec.algorithms and not source.startswith("env://"):
        yield Mistake("/jwt_source", "the secret is in the definition, for everybody who may read that; use env://TYK_NAME instead")
        if len(_decoded(source)) < _LEAST_SECRET:
            yield Mistake("/jwt_source", f"the secret has fewer than {_LEAST_SECRET} bytes, and can be guessed from a token")
    if not (spec.rules.policy or spec.rules.default_policies or spec.rules.scopes):
        yield Mistake("/jwt_default_policies", _NEVER_MET)
    place = "/jwt_jwks_uris" if _urls(reader) else "/jwt_source"
    for url in spec.urls:
        parts = urlsplit(url)
        if parts.scheme.lower() == "http" and not stays_here(parts.hostname or ""):
            yield Mistake(place, f"the keys of {parts.hostname} come unencrypted (http): who is on the way could sign any token")


def build(spec: Spec, ports: Ports) -> Jwt:
    """Build the check from the keys of the issuer, and those that stand for whom its tokens name."""
    return Jwt(spec, ports)


class Known(NamedTuple):
    """A token whose signature is right. proof: what it was checked with. said: what it says."""

    proof: VerifyingKey
    said: Said


class Jwt:
    """Sets the exchange's key and `exchange.presented_key`, which is the name that the token gives."""

    __slots__ = (
        "_algorithms", "_challenge", "_checking", "_credential", "_digest_key", "_find_made", "_in_query", "_is_base", "_key",
        "_missing", "_now", "_realm", "_rules", "_sets", "_strips", "_tokens", "_told", "_wrong",
    )  # fmt: skip

    def __init__(self, spec: Spec, ports: Ports) -> None:
        self._realm, self._algorithms, self._rules, self._key = spec.realm, spec.algorithms, spec.rules, spec.key
        self._find_made = ports.keys.find_made
        self._tokens: TokenVerifier[Known] = ports.tokens
        self._now: Callable[[], float] = ports.now
        self._sets: tuple[KeySet, ...] = tuple(ports.key_sets.of(url) for url in spec.urls)
        self._credential = Credential(spec.way.places)
        self._in_query = self._credential.in_query
        self._is_base = spec.way.is_base
        self._strips = spec.way.places.strip
        self._missing = f"Send a JSON Web Token in {self._credential.places}."
        self._challenge = [challenge(b"Bearer", spec.realm)]
        self._digest_key = secrets.token_bytes(32)
        self._wrong: Remembered[bytes, float] = Remembered()
        self._checking: dict[bytes, asyncio.Task[Known]] = {}
        self._told: set[tuple[str, ...]] = set()

    def on_request(self, exchange: Exchange) -> Awaitable[None] | None:
        for one in self._sets:
            if one.due <= self._now():
                one.refresh()  # behind this request, or ends keys that are too old
        known = exchange.section.memo.get(self)
        if known is None or known.proof.gone or self._in_query:
            token = self._sent(exchange)
            if len(token) > LONGEST:
                raise Refusal(TOKEN_REFUSED, detail=f"A token has at most {LONGEST} characters.")
            digest = blake2b(token.encode("utf-8", "surrogatepass"), key=self._digest_key, digest_size=32).digest()
            known = self._tokens.known.get(digest)
            if known is None or known.proof.gone:
                return self._check(exchange, token, digest)
            exchange.section.remember(self, known)
        return self._use(exchange, known)

    def _use(self, exchange: Exchange, known: Known) -> Awaitable[None] | None:
        """Let a token pass whose signature is right, if all else is. Raises Refusal."""
        said = known.said
        exchange.presented_key = said.identity
        now = self._now()
        if not (said.starts <= now < said.ends and said.issued <= now):
            kind = TOKEN_EXPIRED if now >= said.ends else TOKEN_USED_EARLY if now < said.issued else TOKEN_NOT_VALID_YET
            raise Refusal(kind, headers=self._challenge)
        if said.made is None:
            raise _refused(said, self._rules)
        key = self._find_made(said.made)
        if isinstance(key, Key):
            self._passed(exchange, key)
            return None
        return self._wait(exchange, said.made, key)

    async def _wait(self, exchange: Exchange, made: Made, finding: Awaitable[Key | None] | None) -> None:
        key = None if finding is None else await finding
        if key is None:
            if made.policies not in self._told and len(self._told) < _MOST_TOLD:
                self._told.add(made.policies)
                log.warning("no policy for a token", api=self._realm, policies=list(made.policies), org_id=made.org_id)
            raise Refusal(TOKEN_WITHOUT_POLICY)
        self._passed(exchange, key)

    def _passed(self, exchange: Exchange, key: Key) -> None:
        exchange.add_key(key, self._is_base)
        if self._strips:
            self._credential.strip(exchange)

    def _sent(self, exchange: Exchange) -> str:
        """Return the token that a client sends. Raises Refusal when it sends none."""
        token = self._credential.sent(exchange)
        if token[:6].lower() == "bearer" and token[6:7] in ("", " "):
            token = token[7:].strip()
        if not token:
            raise Refusal(KEY_MISSING, headers=self._challenge, detail=self._missing)
        return token

    # Tokens that are not known.

    def _check(self, exchange: Exchange, token: str, digest: bytes) -> Awaitable[None]:
        """Check a token that is not remembered. Raises Refusal for one that cannot be right, whatever its signature."""
        wrong_until = self._wrong.get(digest)
        if wrong_until is not None and wrong_until > self._now():
            raise Refusal(TOKEN_REFUSED)
        header = read_header(token)
        if header is None:
            raise Refusal(TOKEN_REFUSED)
        if header.algorithm not in self._algorithms or (self._key and header.algorithm not in self._key.algorithms):
            raise Refusal(TOKEN_REFUSED, detail=f"This API takes tokens signed by {', '.join(sorted(self._algorithms))}.")
        return self._checked(exchange, token, digest, header)

    async def _checked(self, exchange: Exchange, token: str, digest: bytes, header: Header) -> None:
        task = self._checking.get(digest)
        if task is None:
            task = self._checking[digest] = asyncio.create_task(self._verify(token, digest, header, exchange.client))
            task.add_done_callback(lambda done: self._answered(digest, done))
        # One client that goes away must not take the answer from the others.
        waiting = self._use(exchange, await asyncio.shield(task))
        if waiting is not None:
            await waiting

    def _answered(self, digest: bytes, task: asyncio.Task[Known]) -> None:
        del self._checking[digest]
        if not task.cancelled():
            task.exception()  # seen: whoever waited got it as well

    async def _verify(self, token: str, digest: bytes, header: Header, client: str) -> Known:
        """Check the signature. Raises Refusal."""
        proof = self._key or await self._proof(header)
        claims = None if proof is None else await self._tokens.claims(token, header.algorithm, proof, client)
        said = None if claims is None else read_claims(claims, self._rules)
        if proof is None or said is None:
            self._wrong.keep(digest, self._now() + _WRONG_FOR)
            raise Refusal(TOKEN_REFUSED)
        known = Known(proof, said)
        self._tokens.remember(digest, known)
        return known

    async def _proof(self, header: Header) -> VerifyingKey | None:
        """Return the key that a header names, of the first set that has it. Raises Refusal when a set that may have it is not there."""
        for one in self._sets:
            found = one.known(header.kid, header.algorithm)
            if found is not None:
                return found
        missing: Refusal | None = None
        for one in self._sets:
            try:
                await one.ask()
            except Refusal as refusal:
                missing = refusal
            else:
                found = one.known(header.kid, header.algorithm)
                if found is not None:
                    return found
        if missing is not None:
            raise missing
        return None


def _refused(said: Said, rules: ClaimRules) -> Refusal:
    """Return the refusal of a token that gets no key for what it says."""
    if said.lacking == "identity":
        return Refusal(TOKEN_WITHOUT_IDENTITY, detail=f"The claim `{rules.identity}` or `sub` must be a text, which names who calls.")
    return Refusal(_LACKING[said.lacking])
