"""What gunicorn loads: `services.gateway.wsgi:app`."""

from __future__ import annotations

from services.common import logging as logs
from services.common.settings import load_or_exit
from services.gateway.app import create_app
from services.gateway.settings import load_with_key
from services.gateway.wiring import Gateway

logs.configure("gateway")
app = create_app(Gateway(load_or_exit("gateway", load_with_key)))
