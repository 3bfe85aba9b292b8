"""What the house's JWTs say: their algorithms, types and subjects."""

from __future__ import annotations

from services.common.identity import house_jwt

ALGORITHMS = house_jwt.ALGORITHMS
ACCESS = "at+jwt"  # `typ` of a sign-in's or a client's token (RFC 9068)
ROLE = "JWT"  # `typ` of a role token or an ID token
SUBJECTS = ("public", "exhibition", "generator", "admin")  # `sub` of role tokens
CLIENT_SUBJECT = "client:"  # begins `sub` of a token that a client got for itself: a client's name must not be taken for a role
NEVER = house_jwt.NEVER  # `exp` of a token without end: the claim is always there
