"""What the house's JWTs say: their algorithms, types and subjects, and how long they are good."""

from __future__ import annotations

import datetime as dt

ALGORITHMS = ("EdDSA", "RS256")
ACCESS = "at+jwt"  # `typ` of a sign-in's or a client's token (RFC 9068)
ROLE = "JWT"  # `typ` of a role token or an ID token
SUBJECTS = ("public", "exhibition", "generator", "admin")  # `sub` of role tokens
CLIENT_SUBJECT = "client:"  # begins `sub` of a token that a client got for itself, so that no client's name is taken for a role
SKEW_S = 30
NEVER = dt.datetime(9999, 12, 31, tzinfo=dt.UTC)  # `exp` of a token without end: the claim is always there
LONGEST = 8192  # characters of a JWT that is looked at
REQUIRED = ("iss", "aud", "iat", "exp", "jti", "sub")
