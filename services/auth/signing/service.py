"""The house's signing keys: created, sealed, rotated with overlap, published; and the JWTs that they sign and check.

The private keys are kept encrypted (AES-256-GCM) under the master key, so that a copy of the database signs nothing.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import re
import threading
import uuid
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.auth import refusals
from services.auth.audit import store as audit
from services.auth.audit.rules import Origin
from services.auth.models import SigningKey
from services.auth.signing import store
from services.auth.signing.rules import NEVER
from services.common import logging as logs
from services.common.clock import Clock
from services.common.database import Database
from services.common.identity import house_jwt
from services.common.sealing import NotOpened, Seal

log = logs.get(__name__)

PURPOSE = "gatehouse signing keys"  # what the seal is for
ROTATIONS_AT_ONCE = 8
_KID = re.compile(r"[A-Za-z0-9_-]{43}")  # a thumbprint; a JWT's header may hold anything, even a NUL


class KeyRing:
    """All keys by kid. Thread-safe. A rotation by another process counts at the next signature: the current key is read each time."""

    def __init__(self, database: Database, clock: Clock, master_key: str, *, issuer: str, audience: str, overlap_s: int) -> None:
        self._database = database
        self._clock = clock
        self._seal = Seal(PURPOSE, master_key)
        self.issuer = issuer
        self.audience = audience
        self._overlap = dt.timedelta(seconds=overlap_s + 2 * house_jwt.SKEW_S)
        self._lock = threading.Lock()
        self._public: dict[str, jwt.PyJWK] = {}
        self._private: dict[str, Any] = {}

    # creating and rotating

    def ensure(self, origin: Origin) -> None:
        """Create the first key when there is none. Safe when several processes do it at once."""
        with self._database.read() as session:
            if store.current(session) is not None:
                return
        self.rotate("EdDSA", origin, only_first=True)

    def rotate(self, algorithm: str, origin: Origin, *, only_first: bool = False, end_former: bool = False) -> SigningKey:
        """Sign with a new key from now on. One transaction: after a crash either the old or the new one signs, never none and never two.

        only_first: return the current key instead, when there is one. end_former: delete all other keys; what they signed ends.
        Raises Refusal 503 when the master key is not the one that sealed the current key: the processes that have the right one could not
        sign with the new key.
        """
        private: Any = (
            ed25519.Ed25519PrivateKey.generate() if algorithm == "EdDSA" else rsa.generate_private_key(public_exponent=65537, key_size=3072)
        )
        jwk = _public_jwk(private, algorithm)
        sealed = self._sealed(private, jwk["kid"])

        def work(session: Session) -> SigningKey:
            now = self._clock.now()
            known = store.current(session)
            if known is not None and only_first:
                return known
            if known is not None:
                self._opened(known)
            if (
                not only_first
            ):  # the first key retires none: if another process was faster, the insert below fails and that process's key is taken
                store.retire_current(session, now)
            key = SigningKey(
                kid=jwk["kid"], algorithm=algorithm, public_jwk=jwk, sealed=sealed, created_at=now, retired_at=None, current=True
            )
            session.add(key)
            session.flush()
            if end_former:
                store.drop(session, [one.kid for one in store.all_keys(session) if one.kid != key.kid])
            audit.write(
                session, origin, now, "signing-key.rotate", jwk["kid"], algorithm=algorithm, **({"end_former": True} if end_former else {})
            )
            return key

        for _ in range(ROTATIONS_AT_ONCE):
            try:
                return self._database.run(work)
            except IntegrityError:  # another process rotated at the same moment; there is one current key
                log.info("signing key made elsewhere")
        return self._database.run(work)

    def forget_unneeded(self) -> None:
        """Delete the keys that no live token was signed with."""
        now = self._clock.now()
        self._database.run(lambda session: store.drop(session, store.unneeded(session, now - self._overlap, now)))

    def published(self) -> dict[str, Any]:
        """Return the JWKS: the current key and every one that a live token needs."""
        now = self._clock.now()
        with self._database.read() as session:
            return {"keys": [key.public_jwk for key in store.needed(session, now - self._overlap, now)]}

    def all_keys(self) -> list[tuple[SigningKey, bool]]:
        """Return every key there is, newest first, and whether it is still published."""
        now = self._clock.now()
        with self._database.read() as session:
            published = {key.kid for key in store.needed(session, now - self._overlap, now)}
            return [(key, key.kid in published) for key in store.all_keys(session)]

    def check_master_key(self) -> None:
        """Raise Refusal when the current key cannot be opened with this master key."""
        with self._database.read() as session:
            key = store.current(session)
            if key is not None:
                self._opened(key)

    # signing and checking

    def sign(
        self,
        session: Session,
        subject: str,
        *,
        issued: dt.datetime,
        expires: dt.datetime | None,
        kind: str,
        not_before: dt.datetime | None = None,
        audience: str | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> tuple[str, str, str]:
        """Sign a JWT by the current key; returns the token, its jti, the kid.

        kind: its header's `typ`, so that no kind is taken for another (RFC 8725 3.11).
        """
        key = store.current(session)
        if key is None:
            raise refusals.signing_key_unreadable()
        private = self._opened(key)
        jti = str(uuid.uuid4())
        payload = {
            "iss": self.issuer,
            "aud": audience or self.audience,
            "sub": subject,
            "iat": int(issued.timestamp()),
            "exp": int((expires or NEVER).timestamp()),
            "jti": jti,
            **({"nbf": int(not_before.timestamp())} if not_before else {}),
            **(claims or {}),
        }
        token = jwt.encode(payload, private, algorithm=key.algorithm, headers={"kid": key.kid, "typ": kind})
        return token, jti, key.kid

    def read(self, token: str) -> house_jwt.Read:
        """Read a JWT of ours whose signature, issuer, audience and times are right. Raises Refusal 401.

        The caller checks that its key is still in the database: one that was deleted there is invalid from that moment on.
        """
        try:
            return house_jwt.read(token, self._find, issuer=self.issuer, audience=self.audience, now=self._clock.now())
        except house_jwt.Expired:
            raise refusals.token_expired() from None
        except house_jwt.NotYetActive:
            raise refusals.token_not_yet_active() from None
        except house_jwt.Invalid:
            raise refusals.token_invalid() from None

    def _find(self, kid: str) -> jwt.PyJWK | None:
        """Return the key of that name. An unknown one is looked up in the database: another process may have created it."""
        if not _KID.fullmatch(kid):
            return None
        found = self._public.get(kid)
        if found is None:
            with self._database.read() as session:
                key = session.get(SigningKey, kid)
            if key is not None:
                found = jwt.PyJWK(key.public_jwk)
                with self._lock:
                    self._public = {**self._public, kid: found}
        return found

    def _sealed(self, private: Any, kid: str) -> str:
        return self._seal.seal(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), kid)

    def _opened(self, key: SigningKey) -> Any:
        private = self._private.get(key.kid)
        if private is None:
            try:
                private = load_pem_private_key(self._seal.open(key.sealed, key.kid), None)
            except NotOpened:
                log.error("signing key not opened", kid=key.kid, reason="another master key sealed it")
                raise refusals.signing_key_unreadable() from None
            with self._lock:
                self._private = {key.kid: private}
                self._public = {**self._public, key.kid: jwt.PyJWK(key.public_jwk)}
        return private


def _public_jwk(private: Any, algorithm: str) -> dict[str, Any]:
    """Return the public key as a JWK whose kid is its thumbprint (RFC 7638)."""
    public = private.public_key()
    if algorithm == "EdDSA":
        jwk = json.loads(OKPAlgorithm.to_jwk(public))
        members = ("crv", "kty", "x")
    else:
        jwk = json.loads(RSAAlgorithm.to_jwk(public))
        members = ("e", "kty", "n")
    thumb = json.dumps({name: jwk[name] for name in members}, separators=(",", ":"), sort_keys=True).encode()
    kid = base64.urlsafe_b64encode(hashlib.sha256(thumb).digest()).rstrip(b"=").decode()
    return {**{name: jwk[name] for name in members}, "use": "sig", "alg": algorithm, "kid": kid}
