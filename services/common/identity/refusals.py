"""Why a credential is refused."""

from __future__ import annotations

from services.common.refusal import Refusal


class Unauthenticated(Refusal):
    """The credential is not valid; the message says why, in auth's words."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(401, message, code)


class Throttled(Refusal):
    """Too many failures for this account or address."""

    def __init__(self, message: str, retry_after: str) -> None:
        super().__init__(429, message, "too-many-failures", headers={"Retry-After": retry_after})


class InsufficientScope(Refusal):
    """An application asks for something that the person did not allow it (RFC 6750, 3.1)."""

    def __init__(self, needed: str) -> None:
        super().__init__(
            403,
            f"the application was not allowed this: it needs the scope {needed}",
            "insufficient-scope",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{needed}"'},
        )


class AuthUnavailable(Refusal):
    """Auth cannot be asked, so every credential is refused."""

    def __init__(self) -> None:
        super().__init__(
            503, "the credential cannot be checked: the auth service does not answer", "auth-unavailable", headers={"Retry-After": "1"}
        )
