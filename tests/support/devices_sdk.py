"""TagoIO's own Python SDK at an address of ours, and what it says of refusals."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from tagoio_sdk import Device, Resources
from tagoio_sdk.infrastructure.api_request import TagoIORequestError

NOBODY = "695c1ba7b6379d59250fba68"  # an id that nothing has


class Tago:
    """The SDK's objects at one address."""

    def __init__(self, url: str, account_token: str) -> None:
        self.region = {"api": url, "sse": url}
        self.devices = Resources({"token": account_token, "region": self.region}).devices

    def device(self, token: str) -> Device:
        return Device({"token": token, "region": self.region})

    def new(self, name: str = "sensor", **more: Any) -> tuple[str, Device]:
        """Create a mutable device; return its id and itself with its first token."""
        made = self.devices.create({"name": name, "type": "mutable", **more})
        return made["device_id"], self.device(made["token"])


def refused(call: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    """Return what the SDK says of a refused call."""
    with pytest.raises(TagoIORequestError) as caught:
        call(*arguments, **named)
    assert isinstance(caught.value.message, str)
    return caught.value.message


def just_now(moment: Any) -> bool:
    """Say whether a date that the SDK read is of the last minute, in UTC: it throws zones away."""
    assert isinstance(moment, dt.datetime) and moment.tzinfo is None
    return abs(dt.datetime.now(dt.UTC).replace(tzinfo=None) - moment) < dt.timedelta(minutes=1)
