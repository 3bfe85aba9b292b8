"""Checks the JSON Web Tokens of one API: each once, by a key of its definition or of its issuer's set. What was right is remembered until
it ends, or its key leaves the set; what was wrong, for a moment.

How claims are read is not decided here (`claims`, `id_tokens`), nor where a token was sent.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from services.common import logging as logs
from services.common.remembered import Remembered
from services.gateway.keys.claims import Said
from services.gateway.keys.key_sets import KeySet
from services.gateway.keys.model import Key, KeyFinder, Made
from services.gateway.keys.tokens import LONGEST, Header, TokenVerifier, VerifyingKey, read_header, read_issuer
from services.gateway.refusals import TOKEN_REFUSED, TOKEN_WITHOUT_POLICY, Refusal

log = logs.get(__name__)

# Seconds for which a token that was refused is refused without a check.
_WRONG_FOR: Final = 1.0
_MOST_TOLD: Final = 100
_NO_TIME: Final = "One of its times (exp, iat, nbf) is not a time, or one that it must have is missing."

# Reads claims; None when they are in a wrong form.
Read = Callable[[Mapping[str, Any]], Said | None]


class Known(NamedTuple):
    """A token whose signature is right. proof: what it was checked with. said: what it says."""

    proof: VerifyingKey
    said: Said


class TokenChecks:
    """Belongs to the event loop. sets: of keys, whoever the issuer is."""

    __slots__ = (
        "_algorithms", "_api", "_checking", "_digest_key", "_find_made", "_key", "_now", "_of_issuers", "_read", "_tokens", "_told",
        "_wrong", "sets",
    )  # fmt: skip

    def __init__(
        self,
        api: str,
        algorithms: frozenset[str],
        key: VerifyingKey | None,
        sets: Mapping[str, Sequence[KeySet]],
        read: Read,
        keys: KeyFinder,
        tokens: TokenVerifier[Known],
        now: Callable[[], float],
    ) -> None:
        """api: its name. algorithms: that are taken. key: of all tokens, None = of the sets. sets: by issuer; a single entry is of all."""
        self._api, self._algorithms, self._key, self._read = api, algorithms, key, read
        self._of_issuers = sets
        self.sets: tuple[KeySet, ...] = tuple(one for of_issuer in sets.values() for one in of_issuer)
        self._find_made = keys.find_made
        self._tokens = tokens
        self._now = now
        self._digest_key = secrets.token_bytes(32)
        self._wrong: Remembered[bytes, float] = Remembered()
        self._checking: dict[bytes, asyncio.Task[Known]] = {}
        self._told: set[tuple[str, ...]] = set()

    def look(self, token: str, client: str) -> Known | Awaitable[Known]:
        """Return what is known of a token, or something to await where it must be checked. client: the address that sends it.

        Raises Refusal, also for a token that cannot be right, whatever its signature.
        """
        if len(token) > LONGEST:
            raise Refusal(TOKEN_REFUSED, detail=f"A token has at most {LONGEST} characters.")
        digest = blake2b(token.encode("utf-8", "surrogatepass"), key=self._digest_key, digest_size=32).digest()
        known = self._tokens.known.get(digest)
        if known is not None and not known.proof.gone:
            return known
        wrong_until = self._wrong.get(digest)
        if wrong_until is not None and wrong_until > self._now():
            raise Refusal(TOKEN_REFUSED)
        header = read_header(token)
        if header is None:
            raise Refusal(TOKEN_REFUSED)
        if header.algorithm not in self._algorithms or (self._key and header.algorithm not in self._key.algorithms):
            raise Refusal(TOKEN_REFUSED, detail=f"This API takes tokens signed by {', '.join(sorted(self._algorithms))}.")
        return self._checked(token, digest, header, client)

    def holder(self, made: Made) -> Key | Awaitable[Key]:
        """Return the key of whom a token names, or something to await. Raises Refusal(TOKEN_WITHOUT_POLICY), at once or when awaited."""
        key = self._find_made(made)
        return key if isinstance(key, Key) else self._wait(made, key)

    async def _wait(self, made: Made, finding: Awaitable[Key | None] | None) -> Key:
        key = None if finding is None else await finding
        if key is None:
            if made.policies not in self._told and len(self._told) < _MOST_TOLD:
                self._told.add(made.policies)
                log.warning("no policy for a token", api=self._api, policies=list(made.policies), org_id=made.org_id)
            raise Refusal(TOKEN_WITHOUT_POLICY)
        return key

    async def _checked(self, token: str, digest: bytes, header: Header, client: str) -> Known:
        task = self._checking.get(digest)
        if task is None:
            task = self._checking[digest] = asyncio.create_task(self._verify(token, digest, header, client))
            task.add_done_callback(lambda done: self._answered(digest, done))
        # One client that goes away must not take the answer from the others.
        return await asyncio.shield(task)

    def _answered(self, digest: bytes, task: asyncio.Task[Known]) -> None:
        del self._checking[digest]
        if not task.cancelled():
            task.exception()  # seen: whoever waited got it as well

    async def _verify(self, token: str, digest: bytes, header: Header, client: str) -> Known:
        """Check the signature. Raises Refusal."""
        proof = self._key or await self._proof(token, header)
        claims = None if proof is None else await self._tokens.claims(token, header.algorithm, proof, client)
        said = None if claims is None else self._read(claims)
        if proof is None or said is None:
            self._wrong.keep(digest, self._now() + _WRONG_FOR)
            raise Refusal(TOKEN_REFUSED, detail=None if claims is None else _NO_TIME)
        known = Known(proof, said)
        self._tokens.remember(digest, known)
        return known

    async def _proof(self, token: str, header: Header) -> VerifyingKey | None:
        """Return the key that a header names, of the first set that has it. Raises Refusal when a set that may have it is not there."""
        # What a token says of its issuer is not proved yet: it only says whose keys prove it, or not.
        sets = self.sets if len(self._of_issuers) == 1 else self._of_issuers.get(read_issuer(token), ())
        for one in sets:
            found = one.known(header.kid, header.algorithm)
            if found is not None:
                return found
        missing: Refusal | None = None
        for one in sets:
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
