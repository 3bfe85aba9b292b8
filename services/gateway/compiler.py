"""Reads JSON into a definition and compiles a definition into its chain, with everything parsed, or gives every reason why it cannot.

`chain.ORDER` drives both. Nothing is left to parse when a request comes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

from services.gateway.chain import ORDER, Group
from services.gateway.definitions import authentication_schema, values
from services.gateway.definitions.error_schema import read_error_template
from services.gateway.definitions.lint import warnings, without_effect
from services.gateway.definitions.model import Definition
from services.gateway.definitions.reader import Mistake, Mistakes, Reader, Report
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.sources import files_of, resolve
from services.gateway.exchange import CompiledApi, Exchange, ResponseHead, Stage, Timeouts
from services.gateway.middleware import size_limit
from services.gateway.middleware.hard_timeouts import usual_timeouts
from services.gateway.ports import Ports
from services.gateway.refusals import DEFINITION_BROKEN, NOT_FOUND, Refusal
from services.gateway.routing.named_segments import count_segments
from services.gateway.scripts.files import ReadFile
from services.gateway.targets import target
from services.gateway.wire.balancing import Balancing
from services.gateway.wire.heads.names import TRAILERS_PASSED
from services.gateway.wire.routes import Routes

_NO_TIMEOUTS = Timeouts(0, 0, 0)


def interpret(raw: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Definition:
    """Turn stored JSON into a Definition, with `env://`, `secrets://` and `file://` filled in.

    Raises Mistakes with all of them, unset variables and missing files included.
    """
    resolved, mistakes = resolve(raw, os.environ if environ is None else environ)
    try:
        definition = parse(resolved)
    except Mistakes as error:
        references = files_of(raw)
        places = {one.pointer for one in mistakes}
        others = [_without_content(one, references) for one in error.mistakes if one.pointer not in places]
        raise Mistakes([*mistakes, *others], error.unread) from None
    if mistakes:
        raise Mistakes(mistakes, definition.unread)
    return replace(definition, raw=raw)


def _without_content(mistake: Mistake, references: Mapping[str, str]) -> Mistake:
    """Return a mistake that repeats nothing of what a file holds."""
    reference = references.get(mistake.pointer)
    return mistake if reference is None else Mistake(mistake.pointer, f"what `{reference}` stands for cannot be used here")


def parse(raw: Mapping[str, Any]) -> Definition:
    """Turn a decoded JSON object into a Definition. Raises Mistakes with all of them."""
    definition, report = read(raw)
    if definition is None:
        raise Mistakes(report.mistakes, report.unknown())
    return definition


def read(raw: Mapping[str, Any]) -> tuple[Definition | None, Report]:
    """Read a whole definition: None when there are mistakes, and the report of mistakes and unread fields."""
    reader = DefinitionReader(raw)
    specs = tuple([step.middleware.fields(reader) for step in ORDER])
    report = reader.report
    report.compare_names()
    return (None if report.mistakes else replace(reader.definition, specs=specs, unread=tuple(report.unknown()))), report


def lint(definition: Definition) -> list[Mistake]:
    """Return all warnings: fields without effect, then what is probably not meant."""
    reader = DefinitionReader(definition.raw)
    of_middlewares = [step.middleware.warnings(reader) for step in ORDER if hasattr(step.middleware, "warnings")]
    of_ways = authentication_schema.warnings(definition.ways, reader.places_of_keys, definition.use_keyless)
    return [*without_effect(definition), *warnings(definition), *of_ways, *chain.from_iterable(of_middlewares)]


def compile_api(definition: Definition, ports: Ports, revision: int) -> CompiledApi:
    """Build the ready API. Raises Mistakes when a part of the definition cannot be built."""
    stages: dict[Group, list[Stage]] = {"open": [], "keyed": [], "late": []}
    of_envelopes: dict[Group, list[Stage]] = {"open": [], "keyed": [], "late": []}
    answer_stages: list[Callable[[Exchange, ResponseHead], None]] = []
    steady_answers = True
    mistakes: list[Mistake] = []
    files: list[ReadFile] = []
    scripts = ports.scripts.load(definition.scripts)
    for step, spec in zip(ORDER, definition.specs, strict=True):
        if spec is None or (scripts is None and spec is definition.scripts):  # of the most definitions: their folders need no second look
            continue
        try:
            built = step.middleware.build(spec, ports)
        except Mistakes as error:
            mistakes += error.mistakes
            continue
        except Exception as error:
            # A definition that parses and does not compile is a defect of the gateway; it must not take the others down.
            mistakes.append(Mistake("", f"{step.middleware.__name__.rpartition('.')[2]} cannot be built: {error}"))
            continue
        if built is None:  # scripts that only their folders could tell of
            continue
        files += getattr(built, "files", ())
        if hasattr(built, "on_response") and not getattr(built, "steady", False):
            steady_answers = False
        if not hasattr(built, "on_request"):
            answer_stages.append(built.on_response)
            continue
        stages[step.group].append(built.on_request)
        if step.envelope:
            of_envelopes[step.group].append(built.on_request)
        if hasattr(built, "on_response"):
            answer_stages.append(built.on_response)
    if mistakes:
        raise Mistakes(mistakes)
    sizes = definition.spec(size_limit.Spec)
    proxy = definition.proxy
    targets = tuple(map(target, proxy.targets))
    reaching = definition.reaching
    routes = Routes(reaching.usual, reaching.pins, reaching.certificates) if reaching.differs else None
    return CompiledApi(
        api_id=definition.api_id,
        internal_id=definition.id,
        org_id=definition.org_id,
        name=definition.name,
        revision=revision,
        domain=definition.domain,
        listen_path=definition.proxy.listen_path,
        strip_listen_path=definition.proxy.strip_listen_path,
        named_segments=count_segments(definition.proxy.listen_path),
        stripped=len(definition.proxy.listen_path) - 1 if definition.proxy.strip_listen_path else 0,
        keyless=definition.use_keyless,
        batch=definition.enable_batch_request_support,
        oauth="oauth_key" in definition.ways,
        targets=targets,
        balancing=Balancing(targets, least_connections=proxy.least_connections, heeds_tests=proxy.heeds_uptime_tests, routes=routes),
        routes=routes,
        timeouts=usual_timeouts(definition.proxy.timeouts),
        body_limit=None if sizes is None else sizes.streamed,
        pass_headers=definition.proxy.pass_headers,
        pass_trailers=definition.proxy.pass_trailers | TRAILERS_PASSED,
        open_stages=tuple(stages["open"]),
        late_stages=tuple(stages["late"]),
        closing_stages=tuple(stages["keyed"] + stages["late"]),
        envelope_stages=tuple(of_envelopes["open"]),
        envelope_keyed_stages=tuple(of_envelopes["keyed"]),
        # The other way round: what an early stage says of an answer stands, whatever the later ones add.
        answer_stages=tuple(reversed(answer_stages)),
        steady_answers=steady_answers,
        event_handlers=definition.event_handlers,
        error_template=definition.error_template,
        error_overrides=definition.error_overrides,
        tracked=not definition.do_not_track,
        detailed_recording=definition.enable_detailed_recording,
        expire_analytics_after=definition.expire_analytics_after,
        error_rules=definition.error_rules,
        internal=definition.internal,
        definition=definition,
        scripts=scripts,
        files=tuple(files),
    )


def inactive_api(definition: Definition, revision: int) -> CompiledApi:
    """Build what keeps the place of a switched-off API: it answers 404, and no API with a shorter listen path gets its requests."""
    return _placeholder(
        _answer_not_found,
        api_id=definition.api_id,
        internal_id=definition.id,
        org_id=definition.org_id,
        name=definition.name,
        revision=revision,
        domain=definition.domain,
        listen_path=definition.proxy.listen_path,
        tracked=not definition.do_not_track,
        expire_analytics_after=definition.expire_analytics_after,
        definition=definition,
        error_template=None,
        internal=definition.internal,
    )


def broken_api(raw: Mapping[str, Any], revision: int) -> CompiledApi | None:
    """Build what keeps the place of a stored definition that no longer compiles: it answers 503, or 404 when it is switched off.

    None when not even its place can be read.
    """
    report = Report()
    root = Reader(raw, "", report)
    proxy = root.object("proxy")
    domain = "" if root.flag("domain_disabled") else root.text("domain")
    try:
        listen_path = values.listen_path(proxy.text("listen_path"))
        domain = values.domain(domain) if domain else ""
    except ValueError:
        return None
    switched_off = root.value("active") is False
    return _placeholder(
        _answer_not_found if switched_off else _answer_broken,
        api_id=root.text("api_id"),
        internal_id=root.text("id"),
        org_id=root.text("org_id"),
        name=root.text("name"),
        revision=revision,
        domain=domain,
        listen_path=listen_path,
        tracked=root.value("do_not_track") is not True,
        expire_analytics_after=root.integer("expire_analytics_after"),
        definition=raw,
        error_template=None if switched_off else read_error_template(root),
        internal=root.flag("internal"),
    )


def _answer_not_found(exchange: Exchange) -> None:
    raise Refusal(NOT_FOUND)


def _answer_broken(exchange: Exchange) -> None:
    raise Refusal(DEFINITION_BROKEN)


def _placeholder(answer: Stage, **identity: Any) -> CompiledApi:
    return CompiledApi(
        **identity,
        strip_listen_path=True,
        named_segments=count_segments(identity["listen_path"]),
        stripped=0,
        keyless=True,
        batch=False,
        targets=(),
        balancing=Balancing(()),
        timeouts=_NO_TIMEOUTS,
        body_limit=None,
        pass_headers=frozenset(),
        pass_trailers=frozenset(),
        open_stages=(answer,),
        late_stages=(),
        closing_stages=(),
        envelope_stages=(answer,),
        envelope_keyed_stages=(),
        answer_stages=(),
        event_handlers={},
        error_overrides={},
    )
