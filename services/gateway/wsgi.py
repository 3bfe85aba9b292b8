"""What gunicorn loads: `services.gateway.wsgi:app`."""

from __future__ import annotations

from services.common import logging as logs
from services.gateway.app import create_app
from services.gateway.settings import load_or_stop
from services.gateway.wiring import Gateway

logs.configure("gateway")
app = create_app(Gateway(load_or_stop()))
