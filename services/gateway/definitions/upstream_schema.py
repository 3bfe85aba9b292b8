"""The JSON of how an API reaches its upstreams: their TLS, the certificate that is shown to them, a forward proxy.

Fields:
* `proxy.transport.ssl_insecure_skip_verify` (unknown): Takes any certificate of the upstream, so that anybody between may read and change
  requests. Keys in `pinned_public_keys` still count.
* `proxy.transport.ssl_ciphers` (unknown): Names of the ciphers for TLS 1.2, as Go has them. Those of TLS 1.3 are always offered.
* `proxy.transport.ssl_min_version` (unknown): The least version of TLS: 771 is 1.2, 772 is 1.3. Differs: It is never below 1.2.
* `proxy.transport.ssl_max_version` (unknown): The highest version of TLS. Differs: One below 1.2 is a mistake.
* `proxy.transport.ssl_force_common_name_check` (unknown): The common name of the upstream's certificate must be its host, too. Differs:
  The certificate must be trusted as ever.
* `proxy.transport.proxy_url` (unknown): The forward proxy (http) to the upstream, in place of `GATEWAY_UPSTREAM_PROXY`. Differs: User name
  and password are a mistake; the setting may hold them.
* `pinned_public_keys` (unknown): By host: the SHA-256 of the public keys (SubjectPublicKeyInfo, DER) that the upstream may have, in
  hexadecimal digits, separated by commas. `*.example.com` is every host below it, `*` every host. Any other key is refused. Differs: Only
  the key of the upstream's own certificate counts, not those of its issuers; a target without TLS is a mistake.
* `certificate_pinning_disabled` (unknown): Leaves `pinned_public_keys` out.
* `upstream_certificates` (unknown): By host, as in `pinned_public_keys`: the certificate that the gateway shows to it, the name of a file
  `NAME.pem` (certificates and private key) in the folder `GATEWAY_UPSTREAM_CERTIFICATES`. Differs: In Tyk it is the id of a certificate in
  its store.
* `upstream_certificates_disabled` (unknown): Leaves `upstream_certificates` out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from services.gateway.definitions import field_names, values
from services.gateway.definitions.checking import checked
from services.gateway.definitions.model import Reaching, TargetUrl
from services.gateway.definitions.reader import Reader
from services.gateway.wire.routes import ANY_HOST, ForwardProxy, Route, named

T = TypeVar("T")

_TLS_1_2: Final = 771
_TLS_1_3: Final = 772
_VERSIONS: Final = {769: "1.0", 770: "1.1", _TLS_1_2: "1.2", _TLS_1_3: "1.3"}
# Go's names of the ciphers of TLS 1.2 and OpenSSL's, without those that neither offers by itself any more.
CIPHERS: Final = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256": "ECDHE-ECDSA-AES128-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256": "ECDHE-RSA-AES128-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_RSA_WITH_AES_128_CBC_SHA256": "AES128-SHA256",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
}
_OF_TLS_1_3: Final = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
# Tyk writes the organisation before the digits where the key is in its store.
_PIN: Final = re.compile(r"[A-Za-z0-9._~:-]*?([0-9A-Fa-f]{64})")
_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def read_reaching(root: Reader, proxy: Reader, targets: Iterable[TargetUrl]) -> Reaching:
    """Read all of it. root: the definition; proxy: its `proxy`, whose targets were read before."""
    pins = _by_host(root, "pinned_public_keys", "certificate_pinning_disabled", _pins)
    certificates = _by_host(root, "upstream_certificates", "upstream_certificates_disabled", _file)
    for target in targets:
        if target.scheme == "http" and named(pins, target.host, None):
            root.mistake("pinned_public_keys", f"names keys of {target.host}, which is asked without TLS; write https:// in its target")
    return Reaching(_transport(proxy.object("transport", field_names.TRANSPORT)), pins, certificates)


def _transport(reader: Reader) -> Route:
    ciphers = []
    for name, pointer in reader.texts("ssl_ciphers"):
        if name in CIPHERS:
            ciphers.append(CIPHERS[name])
        elif name not in _OF_TLS_1_3:
            reader.report.add(pointer, f"is not a cipher that is served; known are {', '.join((*CIPHERS, *_OF_TLS_1_3))}")
    minimum, maximum = _version(reader, "ssl_min_version"), _version(reader, "ssl_max_version")
    if 0 < maximum < _TLS_1_2:
        reader.mistake("ssl_max_version", "TLS below 1.2 is not served; write 771 (1.2), 772 (1.3) or leave it out")
    if maximum and minimum > maximum:
        reader.mistake("ssl_max_version", "ssl_max_version is below ssl_min_version")
    url = reader.text("proxy_url")
    return Route(
        verify=not reader.flag("ssl_insecure_skip_verify"),
        minimum=minimum if minimum > _TLS_1_2 else 0,
        maximum=maximum,
        ciphers=":".join(dict.fromkeys(ciphers)),
        common_name=reader.flag("ssl_force_common_name_check"),
        proxy=checked(reader, "proxy_url", url, _proxy, None) if url else None,
    )


def _version(reader: Reader, name: str) -> int:
    version = reader.integer(name)
    if version and version not in _VERSIONS:
        known = ", ".join(f"{number} ({words})" for number, words in _VERSIONS.items())
        reader.mistake(name, f"must be the number of a version of TLS: {known}; 0 is the usual one")
        return 0
    return version


def _proxy(text: str) -> ForwardProxy | None:
    try:
        url = values.target_url(text)
    except ValueError as error:
        raise ValueError(str(error).replace("target_url", "proxy_url")) from None
    if url.scheme != "http":
        raise ValueError("not available yet: a proxy that is asked with TLS; proxy_url must begin with http://")
    if url.path or url.query:
        raise ValueError("proxy_url must be http://HOST:PORT without a path")
    return ForwardProxy(url.host, url.port)


def _by_host(root: Reader, name: str, switch: str, check: Callable[[str], T]) -> dict[str, T]:
    """Read an object whose keys are hosts. switch: the field that leaves it out."""
    if root.flag(switch):
        root.value(name)
        return {}
    found = {}
    for host, value, pointer in root.mapping(name):
        try:
            if not isinstance(value, str):
                raise ValueError("must be a string")
            found[_host(host)] = check(value)
        except ValueError as error:
            root.report.add(pointer, str(error))
    return found


def _host(text: str) -> str:
    if text == ANY_HOST:
        return ANY_HOST
    rest = text.removeprefix("*.")
    return text[: len(text) - len(rest)] + values.domain(rest)


def _pins(text: str) -> frozenset[str]:
    found = []
    for part in text.split(","):
        match = _PIN.fullmatch(part.strip())
        if match is None:
            raise ValueError("must be SHA-256 of public keys, each 64 hexadecimal digits, separated by commas")
        found.append(match[1].lower())
    return frozenset(found)


def _file(text: str) -> str:
    if not _FILE.fullmatch(text):
        raise ValueError("must be the name of a certificate: that of its file in GATEWAY_UPSTREAM_CERTIFICATES, without `.pem`")
    return text
