"""TLS contexts from the certificates that the settings name: of the public port, and for https targets."""

from __future__ import annotations

import errno
import importlib
import ssl
import threading
from collections.abc import Collection

from services.common import logging as logs
from services.common.settings import SettingsError
from services.gateway.settings import Settings
from services.gateway.wire.client_certificates import ServerTls
from services.gateway.wire.routes import Route

log = logs.get(__name__)


class PublicTls:
    """The TLS of the public port, of one worker. Thread-safe.

    A new context takes the place of the one before whenever other certificates are trusted; open connections keep theirs.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._trusted: Collection[bytes] = ()
        self._present: ServerTls | None = None

    def present(self) -> ServerTls:
        """Return the TLS of the next handshake. The first time it blocks and may raise OSError."""
        present = self._present
        if present is None:
            with self._lock:
                present = self._present = self._made()
        return present

    def trust(self, trusted: Collection[bytes]) -> None:
        """Ask clients for these certificates (DER), or for those that they vouch for. Blocks."""
        with self._lock:
            self._trusted = trusted
            self._renew()

    def refresh(self) -> None:
        """Begin anew where too much is remembered. Blocks."""
        if self._present is not None and self._present.is_full:
            with self._lock:
                self._renew()

    def _renew(self) -> None:
        if self._present is None:
            return  # `present` makes it
        try:
            self._present = self._made()
        except OSError as error:  # the files of the settings are not what they were: what was loaded serves on
            log.error("certificate of the public port not loaded again", error=error.strerror or type(error).__name__)
            self._present.trust(self._trusted)

    def _made(self) -> ServerTls:
        context = server_tls(self._settings)
        assert context is not None  # the settings name a certificate
        return ServerTls(context, self._trusted)


def server_tls(settings: Settings) -> ssl.SSLContext | None:
    """Return the TLS context of the public port, None = it speaks plain HTTP. Raises OSError when certificate and key cannot be used."""
    if settings.tls_certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.tls_certificate, settings.tls_key, _no_pass_phrase)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _no_pass_phrase() -> str:
    """Refuse to ask: OpenSSL would ask on the terminal, and neither the start nor a reload would go on before somebody answers."""
    raise OSError(errno.EINVAL, "the key is encrypted, and nobody can be asked for its pass phrase")


def upstream_tls(settings: Settings, route: Route | None = None) -> ssl.SSLContext:
    """Return the TLS context for https targets: the system's authorities, and those of the setting.

    route: what a definition asks for beside that. Raises OSError, ValueError.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.upstream_ca is not None:
        context.load_verify_locations(settings.upstream_ca)
    context.set_alpn_protocols(["http/1.1"])
    if route is not None:
        try:
            _apply(route, context, settings)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            log.error("TLS for an upstream not loaded", certificate=route.certificate, ciphers=route.ciphers, error=reason)
            raise
    return context


def _apply(route: Route, context: ssl.SSLContext, settings: Settings) -> None:
    if not route.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if route.minimum:
        context.minimum_version = ssl.TLSVersion(route.minimum)
    if route.maximum:
        context.maximum_version = ssl.TLSVersion(route.maximum)
    if route.ciphers:
        context.set_ciphers(route.ciphers)
    if route.certificate:
        if settings.upstream_certificates is None:
            raise FileNotFoundError(errno.ENOENT, "GATEWAY_UPSTREAM_CERTIFICATES is not set")
        context.load_cert_chain(settings.upstream_certificates / f"{route.certificate}.pem", None, _no_pass_phrase)
    if route.pins or route.common_name:
        importlib.import_module("services.gateway.wire.pinning")


def check_tls(settings: Settings) -> None:
    """Load the certificates that the settings name. Raises SettingsError when one of them cannot be used."""
    mistakes = []
    try:
        server_tls(settings)
    except OSError as error:
        mistakes.append(f"GATEWAY_TLS_CERTIFICATE or GATEWAY_TLS_KEY cannot be used: {error.strerror}")
    if settings.upstream_ca is not None:
        try:
            # These alone: the system's authorities would leave 2 MB behind in the master, and so in its workers.
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(settings.upstream_ca)
        except OSError as error:
            mistakes.append(f"GATEWAY_UPSTREAM_CA cannot be used: {error.strerror}")
    if mistakes:
        raise SettingsError(mistakes)
