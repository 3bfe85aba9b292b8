"""What can be wrong with the manifests of `deploy/k8s`: what the API server would refuse, and what it would take and nobody wants.

A check is given a house and a folder that `deploy/make-secrets` has filled, and yields a sentence for each mistake.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema

from services.common.settings import SettingsError
from services.common.settings import load as load_settings
from tests.support.kubernetes_manifests import ROOT, SECRETS_AT, Body, House, matches, schemas

SERVICES = ("gateway", "auth", "sessions", "tokens", "devices", "mobility")
NOT_NEEDED = {"GATEWAY_UPSTREAM_PROXY", "TOKENS_JWT_SECRET"}  # secrets that nothing generates
OPERATORS_COMMAND = {"GATEHOUSE_KEY_FILE"}  # services/gateway/cli
SCHEMAS = schemas()


def _name(one: Body) -> str:
    return f"{one['kind']} {one['metadata']['name']}"


def _service(container: Body) -> str | None:
    """Say which service a container is, by its image."""
    found = re.fullmatch(r"gatehouse/(\w+)", container["image"])
    return found[1] if found else None


def unknown_to_kubernetes(house: House, _: Path) -> Iterator[str]:
    """Fields that there are not, wrong types, what is required and missing, and values that are nothing."""
    for one in house.resources:
        kind = f"{one['apiVersion']}/{one['kind']}"
        if kind not in SCHEMAS["kinds"]:
            yield f"{_name(one)}: there is no schema of {kind}"
            continue
        schema = {"$defs": SCHEMAS["$defs"], "$ref": f"#/$defs/{SCHEMAS['kinds'][kind]}"}
        for error in jsonschema.Draft202012Validator(schema).iter_errors(one):
            yield f"{_name(one)}: {error.json_path}: {error.message}"
        yield from (f"{_name(one)}: {path} is null" for path in _nulls(one, "$"))


def _nulls(value: Any, path: str) -> Iterator[str]:
    if value is None:
        yield path
    for key, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _nulls(one, f"{path}.{key}")


def not_listed(house: House, _: Path) -> Iterator[str]:
    """Files that no kustomization lists, and listed ones that are not there."""
    listed = {*house.kustomization["resources"], *(f"stores/{file}" for file in house.stores["resources"])}
    yield from (f"{file} is in no kustomization" for file in house.files - listed)
    yield from (f"{file} is not there" for file in listed - house.files)
    names = [_name(one) for one in house.resources]
    yield from (f"{name} is there twice" for name in set(names) if names.count(name) > 1)


def wrong_settings(house: House, secrets: Path) -> Iterator[str]:
    """Variables that a service does not know, does not take, or would have to generate in each pod for itself."""
    for name, _, container in house.containers():
        service = _service(container)
        if service is None or "create_databases" in str(container.get("command")):
            continue
        try:
            given = house.environment(container)
        except KeyError as error:
            yield f"{name}: {error.args[0]} is not in the ConfigMap"
            continue
        settings = importlib.import_module(f"services.{service}.settings").Settings
        known = {field.metadata["env"] or f"{service}_{field.name}".upper(): field.metadata["secret"] for field in fields(settings)}
        upstreams = set(re.findall(r"env://(\w+)", "".join(file.read_text() for file in (ROOT / "deploy" / "apis").glob("*.json"))))
        extra = upstreams | OPERATORS_COMMAND if service == "gateway" else set()
        taken = {*known, *(f"{one}_FILE" for one, secret in known.items() if secret), *extra}
        yield from (f"{name}: {one} is not a setting of {service}" for one in given.keys() - taken)
        if "command" not in container:
            missing = {one for one, secret in known.items() if secret and f"{one}_FILE" not in given} - NOT_NEEDED
            yield from (f"{name}: {one}_FILE is not given" for one in missing | (extra - given.keys()))
        try:
            load_settings(settings, service.upper(), {one: value.replace(SECRETS_AT, f"{secrets}/") for one, value in given.items()})
        except SettingsError as error:
            yield from (f"{name}: {mistake}" for mistake in error.mistakes)


def wrong_secrets(house: House, secrets: Path) -> Iterator[str]:
    """Secrets that make-secrets does not write or that no pod reads; that a container names and does not have, or has and does not name."""
    written = {file.name for file in secrets.iterdir()}
    generated = house.secrets()
    yield from (f"make-secrets writes no {file}" for files in generated.values() for file in set(files) - written)
    used = set()
    for name, pod, container in house.containers():
        named = set(re.findall(rf"{SECRETS_AT}(\w+)", str([container.get("env"), container.get("command"), container.get("startupProbe")])))
        mounted = {path.removeprefix(SECRETS_AT) for path in house.mounted(pod, container)}
        yield from (f"{name}: {one} is not mounted" for one in named - mounted)
        yield from (f"{name}: it can read {one}, which is not its own" for one in mounted - named)
        for secret in (volume["secret"] for volume in pod["volumes"] if "secret" in volume):
            read = {item["key"] for item in secret.get("items", [])} or set(generated.get(secret["secretName"], []))
            yield from (
                f"{name}: Secret {secret['secretName']} has no {one}" for one in read - set(generated.get(secret["secretName"], []))
            )
            used |= {(secret["secretName"], one) for one in named}
    yield from (f"Secret {name}: nobody reads {file}" for name, files in generated.items() for file in files if (name, file) not in used)


def wrong_addresses(house: House, _: Path) -> Iterator[str]:
    """Selectors that take no pod, ports that no container has, hosts that no Service has."""
    pods = list(house.pods())
    services = {one["metadata"]["name"]: {port["port"]: port["targetPort"] for port in one["spec"]["ports"]} for one in house.of("Service")}

    def ports(selector: Body) -> dict[str, int]:
        chosen = [container for _, labels, pod in pods if matches(selector, labels) for container in pod["containers"]]
        return {port["name"]: port["containerPort"] for container in chosen for port in container.get("ports", [])}

    for one in house.of("Deployment", "StatefulSet"):
        if not matches(one["spec"]["selector"], one["spec"]["template"]["metadata"]["labels"]):
            yield f"{_name(one)}: its selector does not take its own pods"
        for spread in one["spec"]["template"]["spec"].get("topologySpreadConstraints", []):
            if spread["labelSelector"] != one["spec"]["selector"]:
                yield f"{_name(one)}: it spreads other pods"
    for one in house.of("Service"):
        there = ports(one["spec"]["selector"])
        yield from (f"{_name(one)}: no port {target}" for target in services[one["metadata"]["name"]].values() if target not in there)
    for one in house.of("PodDisruptionBudget"):
        if not any(matches(one["spec"]["selector"], labels) for _, labels, _ in pods):
            yield f"{_name(one)}: its selector takes no pod"
    for one in house.of("NetworkPolicy"):
        yield from (f"{_name(one)}: {problem}" for problem in _policy(one["spec"], pods, ports))
    for one in house.of("Ingress"):
        for path in (path for rule in one["spec"]["rules"] for path in rule["http"]["paths"]):
            service = path["backend"]["service"]
            named = [port["name"] for port in house.get("Service", service["name"])["spec"]["ports"]] if service["name"] in services else []
            if service["port"]["name"] not in named:
                yield f"{_name(one)}: no Service {service['name']} with a port {service['port']['name']}"
    for name, _, container in house.containers():
        there = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
        asked = [container[kind]["httpGet"]["port"] for kind in container if kind.endswith("Probe") and "httpGet" in container[kind]]
        yield from (f"{name}: a probe asks port {port}" for port in asked if port not in there)
        for host, port in re.findall(r"'http://([\w.-]+):(\d+)", str(container.get("env"))):
            if int(port) not in services.get(host, {}):
                yield f"{name}: no Service {host} with port {port}"
        service = _service(container)
        if service and there and "command" not in container:
            settings = importlib.import_module(f"services.{service}.settings").Settings
            listens = settings.proxy_bind if service == "gateway" else settings.bind
            if there["http"] != listens.port:
                yield f"{name}: {service} listens on {listens.port}"


def _policy(spec: Body, pods: list[tuple[str, Body, Body]], ports: Callable[[Body], dict[str, int]]) -> Iterator[str]:
    own = spec["podSelector"]
    for rule in [*spec.get("ingress", []), *spec.get("egress", [])]:
        chosen = [peer["podSelector"] for peer in [*rule.get("from", []), *rule.get("to", [])] if "podSelector" in peer]
        yield from (f"{one} takes no pod" for one in [own, *chosen] if not any(matches(one, labels) for _, labels, _ in pods))
        there = [port for one in ([own] if "from" in rule else chosen) for port in ports(one).items()]
        for port in rule.get("ports", []) if there else []:
            first, last = port["port"], port.get("endPort", port["port"])
            if not any(name == first or (isinstance(first, int) and first <= number <= last) for name, number in there):
                yield f"no port {first}"


def too_free(house: House, _: Path) -> Iterator[str]:
    """Pods and containers that may do more than they need, or take all of a node."""
    for name, _, pod in house.pods():
        context = pod.get("securityContext", {})
        if pod.get("automountServiceAccountToken") is not False or pod.get("enableServiceLinks") is not False:
            yield f"{name}: it gets an account's token, or the addresses of all Services as settings"
        if context.get("runAsNonRoot") is not True or context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{name}: it may be root, or make any call of the kernel"
    for name, _, container in house.containers():
        wanted = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        if container.get("securityContext") != wanted:
            yield f"{name}: its securityContext is not {wanted}"
        resources = container.get("resources", {})
        if not {"cpu", "memory"} <= set(resources.get("requests", {})) or "memory" not in resources.get("limits", {}):
            yield f"{name}: it has no requests of cpu and memory, or no limit of memory"
    if not any(one["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} for one in house.of("NetworkPolicy")):
        yield "no NetworkPolicy refuses what no other allows"


def loses_requests(house: House, _: Path) -> Iterator[str]:
    """Deployments that a rollout, a drained node or a fault of a store would take away."""
    gunicorn = re.search(r"^graceful_timeout = (\d+)", (ROOT / "deploy" / "gunicorn.service.py").read_text(), re.M)
    gateway = importlib.import_module("services.gateway.settings").Settings
    assert gunicorn
    for one in house.of("Deployment"):
        name, pod = one["metadata"]["name"], one["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        if one["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] != 0:
            yield f"{name}: a rollout takes pods away before new ones are ready"
        paths = [container.get(probe, {}).get("httpGet", {}).get("path") for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
        if paths != ["/ready", "/health", "/health"]:
            yield f"{name}: its probes ask {paths}"
        waits = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        stops = gateway.graceful_timeout if name == "gateway" else int(gunicorn[1])
        if waits < 5 or pod.get("terminationGracePeriodSeconds", 30) < waits + stops + 5:
            yield f"{name}: it is killed after {pod.get('terminationGracePeriodSeconds')} s, and needs {waits} and {stops}"
        if len(pod.get("topologySpreadConstraints", [])) != 2:
            yield f"{name}: its pods may all be on one node or in one zone"
        if not any(
            matches(budget["spec"]["selector"], one["spec"]["template"]["metadata"]["labels"]) for budget in house.of("PodDisruptionBudget")
        ):
            yield f"{name}: no PodDisruptionBudget"
        scaled = [
            scaler["spec"]["minReplicas"]
            for scaler in house.of("HorizontalPodAutoscaler")
            if scaler["spec"]["scaleTargetRef"]["name"] == name
        ]
        if one["spec"].get("replicas", 0) + sum(scaled) < 2 or ("replicas" in one["spec"] and scaled):
            yield f"{name}: fewer than two pods, or two that say how many"
    deployments = {one["metadata"]["name"] for one in house.of("Deployment")}
    yield from (f"{one} is missing" for one in set(SERVICES) - deployments)
    for one in house.of("HorizontalPodAutoscaler"):
        if one["spec"]["scaleTargetRef"]["name"] not in deployments:
            yield f"{_name(one)}: no Deployment {one['spec']['scaleTargetRef']['name']}"


def wrong_images(house: House, _: Path) -> Iterator[str]:
    """Images that are not ours, that the kustomization does not place, or that are of several releases."""
    placed = {one["name"]: one["newTag"] for one in house.kustomization["images"]}
    if len(set(placed.values())) != 1 or "latest" in placed.values():
        yield f"the tags are {sorted(set(placed.values()))}"
    if set(placed) != {f"gatehouse/{service}" for service in SERVICES}:
        yield f"the kustomization places {sorted(placed)}"
    stores = {_name(one) for one in house.of("StatefulSet")}
    for name, _, container in house.containers():
        if name.split("/")[0] not in stores and container["image"] not in placed:
            yield f"{name}: {container['image']} is not ours"
        command = str(container.get("command", ""))
        if (found := re.search(r"migrate', '(\w+)'", command)) and container["image"] != f"gatehouse/{found[1]}":
            yield f"{name}: {container['image']} has no migrations of {found[1]}"
