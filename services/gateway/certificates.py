"""TLS contexts from the certificates that the settings name: of the public port, and for https targets."""

from __future__ import annotations

import errno
import ssl

from services.common.settings import SettingsError
from services.gateway.settings import Settings


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


def upstream_tls(settings: Settings) -> ssl.SSLContext:
    """Return the TLS context for https targets: the system's authorities, and those of the setting."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.upstream_ca is not None:
        context.load_verify_locations(settings.upstream_ca)
    context.set_alpn_protocols(["http/1.1"])
    return context


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
