"""The manifests of `deploy/k8s` are sound, and each check of them finds the mistake that is planted in a copy."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import kubernetes_checks as checks
from tests.support.kubernetes_manifests import ROOT, Body, House

Check = Callable[[House, Path], Iterator[str]]
Plant = Callable[[House], Any]


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `deploy/make-secrets` writes."""
    folder = tmp_path_factory.mktemp("k8s") / "secrets"
    subprocess.run([str(ROOT / "deploy" / "make-secrets"), str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def house() -> House:
    return House.read()


def _deployment(house: House, name: str = "auth") -> Body:
    spec: Body = house.get("Deployment", name)["spec"]
    return spec


def _pod(house: House, name: str = "auth") -> Body:
    pod: Body = _deployment(house, name)["template"]["spec"]
    return pod


def _container(house: House, name: str = "auth") -> Body:
    container: Body = _pod(house, name)["containers"][0]
    return container


def _variable(house: House, service: str, name: str) -> Body:
    found: Body = next(one for one in _container(house, service)["env"] if one["name"] == name)
    return found


def _spec(house: House, kind: str, name: str) -> Body:
    spec: Body = house.get(kind, name)["spec"]
    return spec


def _forget(variable: str, service: str = "auth") -> Plant:
    return lambda house: _container(house, service)["env"].remove(_variable(house, service, variable))


def _of_the_job(house: House, number: int) -> Body:
    container: Body = _spec(house, "Job", "databases")["template"]["spec"]["containers"][number]
    return container


PLANTED: dict[Check, list[tuple[Plant, str]]] = {
    checks.unknown_to_kubernetes: [
        (lambda house: _container(house).update(readynessProbe={}), "'readynessProbe' was unexpected"),
        (lambda house: _deployment(house).update(replicas="2"), "'2' is not of type 'integer'"),
        (lambda house: _deployment(house).pop("selector"), "'selector' is a required property"),
        (lambda house: _container(house).update(env=None), "env is null"),
        (lambda house: house.get("Ingress", "gateway").update(apiVersion="networking.k8s.io/v1beta1"), "v1beta1"),
    ],
    checks.not_listed: [
        (lambda house: house.kustomization["resources"].remove("network.yaml"), "network.yaml is in no kustomization"),
        (lambda house: house.stores["resources"].append("redis.yaml"), "stores/redis.yaml is not there"),
        (lambda house: house.resources.append(house.get("Service", "auth")), "Service auth is there twice"),
    ],
    checks.wrong_settings: [
        (lambda house: _variable(house, "gateway", "VALKEY_URL_FILE").update(name="VALKEYURL_FILE"), "VALKEYURL_FILE"),
        (lambda house: _variable(house, "auth", "AUTH_HASHERS").update(value="many"), "AUTH_HASHERS must be a whole number"),
        (lambda house: house.kustomization["configMapGenerator"][0]["literals"].pop(), "POD_NETWORK is not in the ConfigMap"),
        (lambda house: house.kustomization["configMapGenerator"][0].update(literals=[
        *(f"{name}={value}" for name, value in house.config().items()), "POD_NETWORK=10.244.0.0/33"]), "AUTH_TRUSTED_PROXIES"),
        (_forget("AUTH_MASTER_KEY_FILE"), "AUTH_MASTER_KEY_FILE is not given"),
        (_forget("UPSTREAM_TOKENS", "gateway"), "UPSTREAM_TOKENS"),
    ],
    checks.wrong_secrets: [
        (lambda house: house.kustomization["secretGenerator"][1]["files"].append("secrets/salt"), "make-secrets writes no salt"),
        (lambda house: house.kustomization["secretGenerator"][1]["files"].pop(), "service_clients is not mounted"),
        (lambda house: _pod(house)["volumes"].pop(0), "auth_database_url is not mounted"),
        (_forget("AUTH_MASTER_KEY_FILE"), "Secret auth: nobody reads auth_master_key"),
        (lambda house: _of_the_job(house, 1).update(volumeMounts=[{"name": "secrets", "mountPath": "/run/secrets"}]),
        "it can read postgres_admin_url, which is not its own"),
    ],
    checks.wrong_addresses: [
        (lambda house: _deployment(house)["selector"]["matchLabels"].update(app="auth"), "does not take its own pods"),
        (lambda house: _spec(house, "Service", "auth")["ports"][0].update(targetPort="https"), "Service auth: no port https"),
        (lambda house: _spec(house, "Service", "auth")["ports"][0].update(port=80), "no Service auth with port 8101"),
        (lambda house: _container(house)["ports"][0].update(containerPort=8102), "auth listens on 8101"),
        (lambda house: _container(house)["startupProbe"]["httpGet"].update(port="health"), "a probe asks port health"),
        (lambda house: _spec(house, "NetworkPolicy", "auth")["podSelector"].update(matchLabels={"app": "auth"}), "takes no pod"),
        (lambda house: _spec(house, "NetworkPolicy", "gateway")["ingress"][1]["ports"][0].update(port="admin"), "no port admin"),
        (lambda house: _spec(house, "NetworkPolicy", "to-auth")["egress"][0]["ports"][0].update(port=8111), "no port 8111"),
        (lambda house: _spec(house, "PodDisruptionBudget", "auth")["selector"].update(matchLabels={"app": "a"}), "takes no pod"),
        (lambda house: _spec(house, "Ingress", "gateway")["rules"][0]["http"]["paths"][0]["backend"]["service"].update(
        name="gate"), "no Service gate"),
    ],
    checks.too_free: [
        (lambda house: _pod(house).pop("enableServiceLinks"), "the addresses of all Services as settings"),
        (lambda house: _pod(house)["securityContext"].pop("runAsNonRoot"), "it may be root"),
        (lambda house: _container(house)["securityContext"].update(readOnlyRootFilesystem=False), "its securityContext is not"),
        (lambda house: _of_the_job(house, 0)["resources"].pop("limits"), "no limit of memory"),
        (lambda house: house.resources.remove(house.get("NetworkPolicy", "refuse-all")), "no NetworkPolicy refuses"),
    ],
    checks.loses_requests: [
        (lambda house: _container(house)["readinessProbe"]["httpGet"].update(path="/ready"), "its probes ask"),
        (lambda house: _container(house).pop("startupProbe"), "its probes ask"),
        (lambda house: _container(house).pop("lifecycle"), "it is killed after 45 s"),
        (lambda house: _pod(house, "gateway").update(terminationGracePeriodSeconds=60), "it is killed after 60 s"),
        (lambda house: _deployment(house)["strategy"]["rollingUpdate"].update(maxUnavailable=1), "a rollout takes pods away"),
        (lambda house: house.resources.remove(house.get("PodDisruptionBudget", "auth")), "no PodDisruptionBudget"),
        (lambda house: _spec(house, "HorizontalPodAutoscaler", "gateway")["scaleTargetRef"].update(name="gate"), "no Deployment gate"),
        (lambda house: _deployment(house, "gateway").update(replicas=2), "two that say how many"),
        (lambda house: house.resources.remove(house.get("Deployment", "tokens")), "tokens is missing"),
    ],
    checks.wrong_images: [
        (lambda house: _container(house).update(image="gatehouse/authn"), "gatehouse/authn is not ours"),
        (lambda house: house.kustomization["images"][1].update(newTag="0.0.9"), "the tags are ['0.0.9', '0.1.0']"),
        (lambda house: _of_the_job(house, 1).update(image="gatehouse/tokens"), "has no migrations of auth"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("check", PLANTED, ids=lambda check: check.__name__)
def test_the_manifests_are_sound(check: Check, house: House, secrets: Path) -> None:
    assert list(check(house, secrets)) == []


@pytest.mark.parametrize(
    ("check", "plant", "found"),
    [pytest.param(check, *one, id=f"{check.__name__}-{one[1]}") for check, planted in PLANTED.items() for one in planted],
)
def test_a_mistake_is_found(check: Check, plant: Plant, found: str, house: House, secrets: Path) -> None:
    planted = house.copied()
    plant(planted)
    assert [mistake for mistake in check(planted, secrets) if found in mistake]
