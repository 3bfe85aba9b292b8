"""`gunicorn -c deploy/gunicorn.service.py services.tokens.wsgi:app`."""

from __future__ import annotations

import threading

from services.common import logging as logs
from services.tokens.app import build
from services.tokens.settings import load

# a thousand polls are a thousand threads that wait; 512 KB of stack each is ample for Flask and SQLAlchemy
threading.stack_size(512 * 1024)

settings = load()
logs.configure("tokens", settings.log_level)
app = build(settings)
