"""Tells the operator's own systems of new access tokens: `notifications.oauth_on_keychange_url` of a definition, as Tyk tells them.

A notification holds tokens, so its body never stands in the outbox: it is sealed beside it, and opened when the call is made.
"""

from __future__ import annotations

import json
from typing import Final, Literal

from services.common.webhooks.outbox import Call, Delivery, lane_of, new_id
from services.common.webhooks.signing import CannotSign
from services.gateway.middleware.oauth_endpoints import Spec
from services.gateway.stores.oauth import OAuthStore
from services.gateway.stores.sealing import WrongMasterKey

# Stands in the outbox in place of a webhook's id.
HOOK: Final = "oauth-notifications"
EVENT: Final = "OAuthKeyChange"


def call(
    spec: Spec, api_id: str, kind: Literal["new", "refresh"], access_token: str, refresh_token: str, code: str = "", before: str = ""
) -> Call | None:
    """Return the call for a new token, None when nobody wants to know. before: the refresh token that it was given for."""
    if not spec.notify:
        return None
    body = {
        "auth_code": code,
        "new_oauth_token": access_token,
        "refresh_token": refresh_token,
        "old_refresh_token": before,
        "notification_type": kind,
    }
    return Call(
        id=new_id(),
        hook_id=HOOK,
        lane=lane_of(spec.notify),
        event=EVENT,
        subject=api_id,
        method="POST",
        url=spec.notify,
        headers=(("X-Tyk-Shared-Secret", spec.shared_secret),) if spec.shared_secret else (),
        body=json.dumps(body),
        mark=(),
        told_for=0.0,
    )


class Bodies:
    """The bodies of calls in the outbox."""

    def __init__(self, store: OAuthStore) -> None:
        self._store = store

    def of(self, delivery: Delivery) -> str:
        """Return the body to send. Raises CannotSign when it cannot be had, the store's error."""
        if delivery.hook_id != HOOK:
            return delivery.body
        try:
            body = self._store.notification(delivery.id)
        except WrongMasterKey as error:
            raise CannotSign(f"the notification cannot be opened: {error}") from None
        if body is None:
            raise CannotSign("the notification is not kept any more")
        return body
