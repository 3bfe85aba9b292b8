"""Which APIs a definition sends requests on to, and which of them are not here."""

from __future__ import annotations

from collections.abc import Iterator

from services.gateway.definitions.model import DEFAULT_ORG, Definition, TargetUrl
from services.gateway.definitions.reader import Mistake, join
from services.gateway.loops import loop_name
from services.gateway.middleware import upstream_target, url_rewrite
from services.gateway.operator_api.changes.ports import LiveSet


def unknown(live: LiveSet, definition: Definition) -> Iterator[Mistake]:
    """Warn of `tyk://` that names no API of the same organisation: it may be created later."""
    places = [(pointer, target.host) for pointer, target in _targets(definition) if target.loop is not None and target.host != "self"]
    if not places:
        return
    owner = definition.org_id or DEFAULT_ORG
    own = [(api.api_id, api.internal_id, loop_name(api.name)) for api in live.apis.values() if (api.org_id or DEFAULT_ORG) == owner]
    ids = {definition.api_id, definition.id, *(id for api_id, internal_id, _ in own for id in (api_id, internal_id))}
    names = [name for _, _, name in own]
    for pointer, host in dict.fromkeys(places):
        if host not in ids and names.count(loop_name(host)) != 1:
            several = names.count(loop_name(host)) > 1
            said = (
                "is the name of several APIs; write the api_id"
                if several
                else "is no API that is served; its requests are refused until it is"
            )
            yield Mistake(pointer, f"`{host}` {said}")


def _targets(definition: Definition) -> Iterator[tuple[str, TargetUrl]]:
    for target in definition.proxy.targets:
        yield "/proxy/target_url", target
    of_versions = definition.spec(upstream_target.Spec)
    for name, target in () if of_versions is None else of_versions.targets:
        yield join("/version_data/versions", name) + "/override_target", target
    rewritings = definition.spec(url_rewrite.Spec)
    for version, entries in () if rewritings is None else rewritings.versions:
        place = join("/version_data/versions", version.name) + "/extended_paths/url_rewrites"
        for entry in entries:
            for goal in (entry.goal, *(trigger.goal for trigger in entry.triggers)):
                if goal[0] is not None:
                    yield place, goal[0]
