"""The manifests of `deploy/k8s`: read as they are, and as far as a check needs it, expanded as kustomize and the kubelet do."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "deploy" / "k8s"
SCHEMAS: Final = ROOT / "tests" / "architecture" / "kubernetes" / "schemas-1.31.json"
SECRETS_AT: Final = "/run/secrets/"
_WITH_PODS: Final = ("Deployment", "StatefulSet", "Job")
Body = dict[str, Any]


@dataclass
class House:
    """All of it: the kustomization, its component with the stores, every resource of their files, and the files that are there."""

    kustomization: Body
    stores: Body
    resources: list[Body]
    files: set[str]  # relative to the folder

    @classmethod
    def read(cls) -> House:
        files = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.yaml")} - {"kustomization.yaml", "stores/kustomization.yaml"}
        resources = [body for file in sorted(files) for body in yaml.safe_load_all((FOLDER / file).read_text())]
        return cls(_yaml("kustomization.yaml"), _yaml("stores/kustomization.yaml"), resources, files)

    def copied(self) -> House:
        """Return a copy that may be changed."""
        return copy.deepcopy(self)

    def of(self, *kinds: str) -> Iterator[Body]:
        return (one for one in self.resources if one["kind"] in kinds)

    def get(self, kind: str, name: str) -> Body:
        return next(one for one in self.of(kind) if one["metadata"]["name"] == name)

    def pods(self) -> Iterator[tuple[str, Body, Body]]:
        """Yield what each workload starts: its name, the labels and the spec of its pods."""
        for one in self.of(*_WITH_PODS):
            template = one["spec"]["template"]
            yield f"{one['kind']} {one['metadata']['name']}", template["metadata"]["labels"], template["spec"]

    def containers(self) -> Iterator[tuple[str, Body, Body]]:
        """Yield each container with the name of its workload and the pod that it is in."""
        for name, _, pod in self.pods():
            for container in [*pod.get("initContainers", []), *pod["containers"]]:
                yield f"{name}/{container['name']}", pod, container

    def config(self) -> dict[str, str]:
        """Return the entries of the ConfigMap."""
        (generator,) = self.kustomization["configMapGenerator"]
        return dict(entry.split("=", 1) for entry in generator["literals"])

    def secrets(self) -> dict[str, list[str]]:
        """Return the names of the files of each Secret."""
        return {one["name"]: [file.removeprefix("secrets/") for file in one["files"]] for one in self.kustomization["secretGenerator"]}

    def environment(self, container: Body) -> dict[str, str]:
        """Return the variables of a container as the kubelet sets them. Raises KeyError for an entry that the ConfigMap does not have."""
        config = self.config()
        return {
            one["name"]: one["value"] if "value" in one else config[one["valueFrom"]["configMapKeyRef"]["key"]]
            for one in container.get("env", [])
        }

    def mounted(self, pod: Body, container: Body) -> set[str]:
        """Return the paths of the secrets that a container can read."""
        made = self.secrets()
        found = set()
        volumes = {volume["name"]: volume["secret"] for volume in pod.get("volumes", []) if "secret" in volume}
        for mount in container.get("volumeMounts", []):
            secret = volumes.get(mount["name"])
            if secret is None:
                continue
            names = [item["path"] for item in secret["items"]] if "items" in secret else made.get(secret["secretName"], [])
            if "subPath" not in mount:
                found |= {f"{mount['mountPath']}/{name}" for name in names}
            elif mount["subPath"] in names:
                found.add(mount["mountPath"])
        return found


def _yaml(file: str) -> Body:
    body: Body = yaml.safe_load((FOLDER / file).read_text())
    return body


def schemas() -> Body:
    """Return the JSON schemas of Kubernetes that are kept beside the tests."""
    body: Body = json.loads(SCHEMAS.read_text())
    return body


def matches(selector: Body, labels: Body) -> bool:
    """Say whether a label selector, or the plain one of a Service, takes a pod."""
    plain = selector if not {"matchLabels", "matchExpressions"} & set(selector) else selector.get("matchLabels", {})
    asked = selector.get("matchExpressions", [])
    if any(one["operator"] != "In" for one in asked):
        raise NotImplementedError("only `In` is known here")
    return plain.items() <= labels.items() and all(labels.get(one["key"]) in one["values"] for one in asked)
