"""The JSON of a definition's identity, proxy and versions; each middleware reads its own fields from the same reader.

Everything is checked when a definition is saved, so that nothing can be wrong when a request comes. What would make an API more open than
its author asked for (an authentication mode or a check that is not served yet) is a mistake; other unknown fields are kept in `raw` and
reported by `lint`. `compiler.read` is the whole reading.

Fields:
* `id` (1.3): The id of the definition in `/api/apis`. The gateway creates one when it is empty.
* `api_id` (1.3, required): The id of the API in the access rights of keys, in `/tyk/apis` and in logs. Differs: Only letters, digits and `.
  _ ~ : -` are allowed, at most 128 of them.
* `name` (1.3): The name of the API in logs and lists. It is also the realm of the challenge that a client without a key gets.
* `org_id` (1.3): The id of the organisation that owns the API.
* `active` (1.3): `false` switches the API off: its paths answer 404, and no API with a shorter listen path gets its requests. Differs: Tyk
  serves a definition from a file whatever `active` says.
* `tags` (unknown): Gateways that have tags of their own (`GATEWAY_TAGS`) serve the API only if it has one of them; all others serve it.
  Differs: In Tyk they count for definitions that come from a Dashboard.
* `tags_disabled` (unknown): Switches `tags` off: gateways with tags do not serve the API.
* `domain` (1.9): The host that the API answers on; empty = every host. A port in it has no effect.
* `domain_disabled` (4.1): Switches `domain` off: the API answers on every host.
* `use_keyless` (1.3): Opens the API to clients without a key. Access rights, rates and quotas of keys do not apply.
* `expiration` (4.1): The end of the whole API, `YYYY-MM-DD HH:MM` in UTC. A version ends at the earlier of this and its own `expires`.
* `dont_set_quota_on_create` (1.4): Saving a key does not start its quota again. Differs: It applies when all APIs in the key's access
  rights have it. In 1.4 it also keeps changes of such keys from being saved.
* `do_not_track` (2.3): Requests to this API leave no record in the analytics.
* `enable_detailed_recording` (3.0): Analytics records also have `UserAgent` and `RawRequest`, the head of the request. Differs: Of its
  fields only those that never hold a secret are shown, and it has no query. Bodies and answers are not recorded.
* `expire_analytics_after` (1.4): Seconds for which analytics of this API are kept. 0, and what is longer: as long as
  `GATEWAY_ANALYTICS_DAYS` says. Differs: What records add up to goes as well, when the hour or the day has passed for so long.
* `enable_batch_request_support` (1.3): Opens `POST {listen_path}tyk/batch/`, which takes several requests in one. Differs: Each of them is
  judged by the address of the client that sent the batch; in Tyk all of them come from 127.0.0.1.
* `proxy.listen_path` (1.3, required): The path that the API owns, with everything below it. A segment `{name}` stands for any one segment.
  Differs: It owns whole segments (`/app` does not own `/apple`) and must be written in its canonical form. Two active definitions cannot
  own the same host and path.
* `internal` (2.9, false): Only other APIs of the gateway can call the API, by `tyk://` (see looping). It owns no place: requests to its
  listen path go to the API that owns a shorter one, or are not found.
* `proxy.target_url` (1.3, required): The URL of the upstream, http or https; `ws` and `wss` mean the same. `env://UPSTREAM_NAME/path` takes
  its beginning from the environment variable `UPSTREAM_NAME`; `GATEWAY_ENV_ALLOW` may allow further names.
  `secrets://NAME/path` takes it from a file in `GATEWAY_SECRETS_PATH`. `tyk://API/path` is another API of the gateway (see looping).
* `proxy.enable_load_balancing` (1.8): Sends requests to the URLs of `target_list` in turn, in place of `target_url`.
* `proxy.target_list` (1.8): The URLs of the upstreams, for `enable_load_balancing`; without a scheme they are http. One that stands there
  twice gets twice as many requests. One that cannot be reached is left out for ten seconds.
* `proxy.balancing` (own): How `enable_load_balancing` chooses: `round_robin` (the default) in turn; `least_connections` the upstream that
  has fewest requests of this worker under way.
* `proxy.check_host_against_uptime_tests` (1.9): Leaves out the upstreams of `target_list` whose uptime tests fail, unless all of them do.
* `proxy.strip_listen_path` (1.3): Takes the listen path off the path that the upstream sees. Differs: It is taken off at the start of the
  path only; Tyk removes its first occurrence, wherever that is.
* `proxy.preserve_host_header` (1.3): The upstream gets the `Host` that the client sent, in place of its own.
* `proxy.timeouts.connect` (own): Seconds that connecting to the upstream may take.
* `proxy.timeouts.first_byte` (own): Seconds until the first byte of the upstream's answer.
* `proxy.timeouts.idle` (own): Seconds that may pass between two bytes of a body.
* `proxy.pass_headers` (own): Names of request headers that the gateway would otherwise remove: names with `_`, and `Proxy`.
* `proxy.pass_trailers` (own): Names of trailer fields that the gateway would otherwise remove.
* `version_data.not_versioned` (1.3): The API has one version, and requests do not name it: the version `Default`, or else the first one.
* `version_data.use_extended_paths` (own): Has no effect; it is accepted because Tyk's own examples have it.
* `version_data.versions` (1.3, required): The versions by name, at least one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from services.gateway.definitions import field_names, values
from services.gateway.definitions.authentication_schema import read_ways
from services.gateway.definitions.checking import check_each, checked, checked_texts
from services.gateway.definitions.error_schema import read_error_overrides, read_error_template
from services.gateway.definitions.event_schema import read_event_handlers
from services.gateway.definitions.model import Definition, Places, Proxy, ProxyTimeouts, Script, ScriptSet, Version
from services.gateway.definitions.not_served import refuse_in_definition
from services.gateway.definitions.reader import Reader, Report
from services.gateway.definitions.script_schema import handler_scripts, read_hooks, read_virtual, refuse_idle_check
from services.gateway.definitions.upstream_schema import read_reaching
from services.gateway.definitions.uptime_schema import read_uptime_tests
from services.gateway.definitions.version_schema import VersionReader

Entry = TypeVar("Entry")

# Tyk's, without a meaning here: accepted and given back.
ECHOED: Final = (
    "slug", "auth_provider", "session_provider",
    "proxy_name", "api_model", "_id",
)  # fmt: skip
BALANCING: Final = ("round_robin", "least_connections")
_NO_VERSION: Final = "versions must hold at least one version; without versions: one named `Default`, and `not_versioned: true` beside"


class DefinitionReader(Reader):
    """A whole definition, with what every middleware may need of it already read.

    definition: identity, ways of authentication, proxy and versions; after mistakes with stand-ins. places_of_keys: where a key would be,
    whether one is asked for or not. version_data: its object. versions: in their order.
    virtual: the entries of virtual endpoints by version, each with its script.
    """

    definition: Definition
    places_of_keys: Places
    version_data: Reader
    versions: tuple[VersionReader, ...]
    virtual: Mapping[str, list[tuple[Reader, Script]]]

    def __init__(self, raw: Mapping[str, Any], report: Report | None = None) -> None:
        super().__init__(raw, "", report or Report(), field_names.DEFINITION)
        for name in ECHOED:
            self.value(name)
        self.texts("tags")
        self.flag("tags_disabled")
        hooks, language = read_hooks(self)
        self._read_versions()
        self.virtual = {one.version.name: read_virtual(one) for one in self.versions}
        proxy = self.object("proxy", field_names.PROXY)
        refuse_in_definition(self, proxy)
        read_proxy = _proxy(proxy)
        domain = self.text("domain")
        use_keyless = self.flag("use_keyless")
        ways, self.places_of_keys = read_ways(self, use_keyless)
        error_overrides, error_rules = read_error_overrides(self)
        event_handlers = read_event_handlers(self.object("event_handlers"))
        asks = "custom_auth" in ways
        refuse_idle_check(self, hooks, language, asked=asks)
        virtual = [script for several in self.virtual.values() for _, script in several]
        config = self.value("config_data")
        config_disabled = self.flag("config_data_disabled")
        self.definition = Definition(
            id=self._id(),
            name=self.text("name"),
            api_id=(api_id := checked(self, "api_id", self.text("api_id"), values.identifier, "")),
            org_id=(org_id := self._org_id()),
            active=self.flag("active", True),
            internal=self.flag("internal"),
            domain="" if self.flag("domain_disabled") or not domain else checked(self, "domain", domain, values.domain, ""),
            use_keyless=use_keyless,
            ways=ways,
            not_versioned=self.version_data.flag("not_versioned"),
            versions={one.version.name: one.version for one in self.versions} or {"": Version("")},
            proxy=read_proxy,
            reaching=read_reaching(self, proxy, read_proxy.targets),
            do_not_track=self.flag("do_not_track"),
            dont_set_quota_on_create=self.flag("dont_set_quota_on_create"),
            enable_detailed_recording=self.flag("enable_detailed_recording"),
            expire_analytics_after=self.integer("expire_analytics_after"),
            event_handlers=event_handlers,
            enable_batch_request_support=self.flag("enable_batch_request_support"),
            uptime_tests=read_uptime_tests(self.object("uptime_tests", field_names.UPTIME_TESTS)),
            error_template=read_error_template(self),
            error_overrides=error_overrides,
            error_rules=error_rules,
            scripts=ScriptSet(
                api_id,
                org_id,
                (*hooks, *virtual, *handler_scripts(event_handlers)),
                language,
                asks,
                config if isinstance(config, dict) and not config_disabled else {},
            ),
            raw=raw,
        )

    def entries(self, name: str, read: Callable[[VersionReader, Reader], Entry]) -> tuple[tuple[Version, tuple[Entry, ...]], ...]:
        """Read a list of extended_paths: the versions that have entries in it, each with what `read` makes of them."""
        return tuple(
            (one.version, tuple([read(one, entry) for entry in entries])) for one in self.versions if (entries := one.entries(name))
        )

    def _read_versions(self) -> None:
        self.version_data = self.object("version_data", field_names.VERSION_DATA)
        self.version_data.value("use_extended_paths")  # Tyk's own samples have it here, too, where it never meant anything
        # The end of all versions; Tyk 5 has it beside the end of each.
        expiration = checked(self, "expiration", self.text("expiration"), values.expires, None)
        self.versions = tuple(
            VersionReader(name, self.member(member, pointer, field_names.VERSION), expiration)
            for name, member, pointer in self.version_data.mapping("versions")
        )
        if not self.versions:
            self.version_data.mistake("versions", _NO_VERSION)

    def _id(self) -> str:
        id = self.text("id")
        if len(id) > 64:
            self.mistake("id", "id must not be longer than 64 characters")
        return checked(self, "id", id, values.identifier, "") if id else ""

    def _org_id(self) -> str:
        org_id = self.text("org_id")
        return checked(self, "org_id", org_id, values.identifier, "") if org_id else ""


def read_tags(raw: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the tags of a definition, which may be one that cannot be read; None when not even they can be."""
    report = Report()
    root = Reader(raw, "", report)
    tags = frozenset(tag for tag, _ in root.texts("tags"))
    if root.flag("tags_disabled"):
        tags = frozenset()
    return None if report.mistakes else tags


def _proxy(proxy: Reader) -> Proxy:
    urls, parse = [(proxy.text("target_url"), proxy.at("target_url"))], values.target_url
    listed = proxy.texts("target_list")
    if proxy.flag("enable_load_balancing"):
        if not listed:
            proxy.mistake("target_list", "target_list is empty, and enable_load_balancing asks for it")
        urls, parse = listed, values.listed_url
    own = ProxyTimeouts()
    timeouts = proxy.object("timeouts")
    return Proxy(
        listen_path=checked(proxy, "listen_path", proxy.text("listen_path"), values.listen_path, "/"),
        targets=tuple(check_each(proxy, urls, parse)),
        strip_listen_path=proxy.flag("strip_listen_path"),
        timeouts=ProxyTimeouts(
            connect=timeouts.number("connect", own.connect, 0, 3600),
            first_byte=timeouts.number("first_byte", own.first_byte, 0, 86400),
            idle=timeouts.number("idle", own.idle, 0, 86400),
        ),
        pass_headers=frozenset(checked_texts(proxy, "pass_headers", values.passed_header)),
        pass_trailers=frozenset(checked_texts(proxy, "pass_trailers", values.passed_trailer)),
        least_connections=proxy.choice("balancing", BALANCING, BALANCING[0]) == "least_connections",
        heeds_uptime_tests=proxy.flag("check_host_against_uptime_tests"),
        preserve_host_header=proxy.flag("preserve_host_header"),
    )
