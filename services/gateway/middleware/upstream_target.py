"""Sends the requests of a version to an upstream of its own, and passes the client's `Host` on where `proxy.preserve_host_header` says so.

A URL that `url_rewrites` names with its host outranks the target of the version, and a `Host` that `transform_headers` set outranks the
client's.

Fields:
* `versions.*.override_target` (1.9): The URL of the version's upstream, in place of those of `proxy`; `env://` may stand there as in
  `proxy.target_url`. It has no effect, and gives a warning, where the API is `not_versioned`, as in Tyk. Differs: It also counts with
  `enable_load_balancing`.
Refusals: none of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from services.gateway.definitions import values
from services.gateway.definitions.model import TargetUrl
from services.gateway.definitions.reader import Mistake
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange, Target
from services.gateway.ports import Ports
from services.gateway.targets import target


@dataclass(frozen=True, slots=True)
class Spec:
    """targets: of the versions that have one."""

    targets: tuple[tuple[str, TargetUrl], ...]
    preserve_host: bool


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the targets of versions; None when there are none, and the client's `Host` does not go on."""
    preserve_host = reader.definition.proxy.preserve_host_header
    targets = []
    for one in reader.versions:
        text = one.reader.text("override_target")
        if text:
            try:
                targets.append((one.version.name, values.target_url(text)))
            except ValueError as error:
                one.reader.mistake("override_target", str(error).replace("target_url", "override_target"))
    used = () if reader.definition.not_versioned else tuple(targets)
    return Spec(used, preserve_host) if used or preserve_host else None


def warnings(reader: DefinitionReader) -> Iterator[Mistake]:
    """Warn of a target that does not count."""
    if reader.definition.not_versioned:
        for one in reader.versions:
            if one.reader.text("override_target"):
                yield Mistake(one.reader.at("override_target"), "override_target has no effect where the API is not_versioned")


def build(spec: Spec, ports: Ports) -> UpstreamTarget:
    """Build the targets as the wire needs them."""
    return UpstreamTarget({name: target(url) for name, url in spec.targets}, spec.preserve_host)


class UpstreamTarget:
    """Sets `exchange.target` and `upstream_host`."""

    __slots__ = ("_preserve_host", "_targets")

    def __init__(self, targets: dict[str, Target], preserve_host: bool) -> None:
        self._targets = targets
        self._preserve_host = preserve_host

    def on_request(self, exchange: Exchange) -> None:
        if exchange.target is None:
            exchange.target = self._targets.get(exchange.version_name)
        if self._preserve_host and exchange.upstream_host is None:
            exchange.upstream_host = exchange.section.authority
