"""What one check of a credential needs, each in one statement, because neighbours ask hundreds of times a second.

Every statement begins at a row that is always there, so the answer is one row even when nothing was found: the columns are None then.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from services.auth.models import (
    PERSON,
    AccessToken,
    Client,
    CutOff,
    Grant,
    RevokedToken,
    RoleToken,
    SigningKey,
    User,
)

_START = sa.select(sa.literal(1).label("one")).subquery("start")
_ASKING = sa.join(_START, Client, Client.id == sa.bindparam("client"), isouter=True)
_WITH_KEY = _ASKING.outerjoin(SigningKey, SigningKey.kid == sa.bindparam("kid")).outerjoin(
    RevokedToken, RevokedToken.jti == sa.bindparam("jti")
)
_CREDENTIALS = (Client.secret_digest, Client.service)
_Other = aliased(Client)

# parameter client: id of who asks, or None
SERVICE = sa.select(*_CREDENTIALS, Client.id, Client.name).select_from(_ASKING)

# also: user
USER = sa.select(*_CREDENTIALS, *PERSON).select_from(_ASKING.outerjoin(User, User.id == sa.bindparam("user")))

# also: digest
ACCESS_TOKEN = sa.select(
    *_CREDENTIALS,
    AccessToken.id,
    AccessToken.kind,
    AccessToken.label,
    AccessToken.permission,
    AccessToken.policy,
    AccessToken.expires_at,
    *PERSON,
).select_from(
    _ASKING.outerjoin(AccessToken, AccessToken.digest == sa.bindparam("digest")).outerjoin(User, User.id == AccessToken.user_id),
)

# also: kid, jti
ROLE_TOKEN = sa.select(
    *_CREDENTIALS, SigningKey.kid, RevokedToken.jti, RoleToken.subject, RoleToken.label, RoleToken.revoked_at, CutOff.cut_off
).select_from(_WITH_KEY.outerjoin(RoleToken, RoleToken.jti == sa.bindparam("jti")).outerjoin(CutOff, CutOff.subject == RoleToken.subject))

# also: kid, jti, grant; the person only while the sign-in and the account are good
SIGN_IN = sa.select(*_CREDENTIALS, SigningKey.kid, RevokedToken.jti, Grant.method, Grant.client_id, Grant.expires_at, *PERSON).select_from(
    _WITH_KEY.outerjoin(Grant, sa.and_(Grant.id == sa.bindparam("grant"), Grant.revoked_at.is_(None))).outerjoin(
        User, sa.and_(User.id == Grant.user_id, User.active)
    )
)

# also: kid, jti, subject: id of the client that the token speaks for
CLIENT_TOKEN = sa.select(*_CREDENTIALS, SigningKey.kid, RevokedToken.jti, _Other.id, _Other.name).select_from(
    _WITH_KEY.outerjoin(_Other, _Other.id == sa.bindparam("subject"))
)
