"""deploy/kubernetes, as far as it can be checked without a cluster.

What Kubernetes itself defines is held against its published schemas, strictly: a misspelt field fails. KEDA's
and Prometheus Operator's objects are in no package; their shapes are told here (``SHAPES``), from their
documentation.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

import tasks  # noqa: F401 - the real providers make themselves known
from config.queues import UPKEEP
from config.settings import Settings
from tests.command_lines import misused
from worker import registry

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
FILES = sorted(path for path in FOLDER.rglob("*.yaml") if path.name != "kustomization.yaml")
VERSIONS = ("1.29", "1.33")
PLACE = "/run/secrets/narrows/"

SHAPES: dict[str, dict[str, set[str]]] = {
    # keda.sh/docs/2.17/reference/scaledobject-spec, read 2026-11-21
    "keda.sh/v1alpha1 ScaledObject": {
        "": {"scaleTargetRef", "minReplicaCount", "maxReplicaCount", "pollingInterval", "cooldownPeriod",
             "fallback", "advanced", "triggers"},
        "triggers": {"type", "metricType", "metadata"},
        "fallback": {"failureThreshold", "replicas"},
    },
    # prometheus-operator.dev/docs/api-reference/api, read 2026-11-21
    "monitoring.coreos.com/v1 PodMonitor": {
        "": {"selector", "podMetricsEndpoints"},
        "podMetricsEndpoints": {"port", "path", "interval", "scrapeTimeout", "authorization", "relabelings"},
    },
    "monitoring.coreos.com/v1 ServiceMonitor": {
        "": {"selector", "endpoints"},
        "endpoints": {"port", "path", "interval", "scrapeTimeout", "authorization", "relabelings"},
    },
}  # fmt: skip

Object = dict[str, Any]


@cache
def everything() -> tuple[Object, ...]:
    """All that is told there."""
    read = YAML(typ="safe", pure=True)
    return tuple(each for path in FILES for each in read.load_all(path.read_text(encoding="utf-8")))


def objects(*kinds: str) -> list[Object]:
    """What is told there, of those *kinds* where any is named."""
    return [each for each in everything() if not kinds or each["kind"] in kinds]


def named(name: str, kind: str = "Deployment") -> Object:
    """The one of that name."""
    (found,) = [each for each in objects(kind) if each["metadata"]["name"] == name]
    return found


def pod(deployment: Object) -> Object:
    """Its pods' specification."""
    found: Object = deployment["spec"]["template"]["spec"]
    return found


def labels(deployment: Object) -> dict[str, str]:
    """Those of its pods."""
    found: dict[str, str] = deployment["spec"]["template"]["metadata"]["labels"]
    return found


def container(deployment: Object) -> Object:
    """The only one."""
    (found,) = pod(deployment)["containers"]
    return dict(found)


def workers() -> list[Object]:
    """The deployments of workers."""
    return [each for each in objects("Deployment") if labels(each)["app.kubernetes.io/component"] == "worker"]


every_deployment = pytest.mark.parametrize(
    "deployment", [pytest.param(each, id=each["metadata"]["name"]) for each in objects("Deployment")]
)


@pytest.mark.parametrize("version", VERSIONS)
def test_everything_fits_the_published_schemas(version: str) -> None:
    """Strictly, in an old and a newer version of Kubernetes; others' objects below."""
    own = [each for each in objects() if f"{each['apiVersion']} {each['kind']}" not in SHAPES]

    for each in own:
        kubernetes_validate.validate(each, version, strict=True)
    assert len(own) > 10


def test_what_others_define_has_no_field_that_they_do_not_know() -> None:
    """KEDA's and Prometheus Operator's objects."""
    found = [each for each in objects() if f"{each['apiVersion']} {each['kind']}" in SHAPES]

    for each in found:
        for part, known in SHAPES[f"{each['apiVersion']} {each['kind']}"].items():
            inner = each["spec"][part] if part else each["spec"]
            for one in inner if isinstance(inner, list) else [inner]:
                assert set(one) <= known, (each["metadata"]["name"], part)
    assert {each["kind"] for each in found} == {"ScaledObject", "PodMonitor", "ServiceMonitor"}


def test_every_file_is_applied_but_the_form_for_secrets() -> None:
    """By the kustomization of its own folder."""
    read = YAML(typ="safe", pure=True)
    applied = set()
    for path in FOLDER.rglob("kustomization.yaml"):
        resources = read.load(path.read_text(encoding="utf-8"))["resources"]
        applied |= {path.parent / name for name in resources}

    assert set(FILES) - applied == {FOLDER / "secret.example.yaml"}
    assert applied <= set(FILES)


def test_the_form_for_secrets_has_no_secret_in_it() -> None:
    """Only names."""
    values = [value for each in objects("Secret") for value in each["stringData"].values()]

    assert len(values) > 4
    assert set(values) == {""}


@every_deployment
def test_our_settings_accept_what_each_pod_is_given(deployment: Object, tmp_path: Path) -> None:
    """With the Secret's files in place, in production."""
    settings = Settings.load(_environment(deployment, tmp_path))

    settings.check_providers(registry.names())
    assert settings.in_production
    assert settings.runs_flower == (deployment["metadata"]["name"] == "flower")


@every_deployment
def test_every_command_and_probe_is_one_that_its_program_takes(deployment: Object) -> None:
    """By Celery's, Flower's and our own parsers; pages are looked for at the port that is theirs."""
    one = container(deployment)
    probes = [one[name] for name in ("startupProbe", "livenessProbe", "readinessProbe") if name in one]
    lines = [one["command"] + one.get("args", [])]
    lines += [probe["exec"]["command"] for probe in probes if "exec" in probe]

    assert [wrong for words in lines if (wrong := misused(" ".join(words)))] == []
    assert {"livenessProbe", "readinessProbe"} <= set(one)
    ports = {port["name"] for port in one.get("ports", ())}
    assert {probe["httpGet"]["port"] for probe in probes if "httpGet" in probe} <= ports


def test_ports_are_those_of_the_code() -> None:
    """In pods, the network policy, Flower's command and the image."""
    settings, flower = Settings(), container(named("flower"))
    ports = {container(each)["ports"][0]["containerPort"] for each in workers()}
    exporter = container(named("exporter"))["ports"][0]["containerPort"]
    ingress = named("narrows", "NetworkPolicy")["spec"]["ingress"][0]["ports"]

    assert ports == {settings.metrics_port}
    assert exporter == settings.exporter_port
    assert {port["port"] for port in ingress} == {settings.metrics_port, settings.exporter_port}
    assert f"--port={flower['ports'][0]['containerPort']}" in flower["command"]
    exposed = f"EXPOSE {settings.metrics_port} {settings.exporter_port}"
    assert exposed in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_every_queue_is_served_by_some_workers() -> None:
    """A queue that nobody names would fill in silence."""
    asked = [
        queue
        for each in workers()
        for queue in container(each)["args"][0].removeprefix("--queues=").split(",")
    ]

    assert set(asked) == {UPKEEP, *registry.names()}
    assert sorted(queue for queue in asked if asked.count(queue) > 1) == [UPKEEP, UPKEEP]


@every_deployment
def test_pods_are_closed_and_given_time_to_end(deployment: Object) -> None:
    """Nobody's root, no writing, no rights, no token; memory has a bound, and a stop lets calls end."""
    inside, one = pod(deployment), container(deployment)

    assert inside["securityContext"]["runAsNonRoot"]
    assert inside["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (inside["automountServiceAccountToken"], inside["enableServiceLinks"]) == (False, False)
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} == set(one["resources"]["requests"])
    assert "memory" in one["resources"]["limits"]
    assert "lifecycle" not in one
    longest = 60 if deployment in workers() else 30
    assert inside["terminationGracePeriodSeconds"] == longest


@every_deployment
def test_selectors_find_their_own_pods_and_no_others(deployment: Object) -> None:
    """Two deployments that select one pod would fight for it."""
    wanted = deployment["spec"]["selector"]["matchLabels"].items()

    found = [each["metadata"]["name"] for each in objects("Deployment") if wanted <= labels(each).items()]

    assert found == [deployment["metadata"]["name"]]


def test_disruption_budgets_let_a_node_be_emptied() -> None:
    """Each finds one deployment, and leaves at least one of its pods free to go, however few there are."""
    for budget in objects("PodDisruptionBudget"):
        wanted = budget["spec"]["selector"]["matchLabels"].items()
        (found,) = [each for each in objects("Deployment") if wanted <= labels(each).items()]
        name = found["metadata"]["name"]
        scaled = [
            each["spec"].get("minReplicaCount") or each["spec"]["minReplicas"]
            for each in objects("ScaledObject", "HorizontalPodAutoscaler")
            if each["metadata"]["name"] == name
        ]

        assert budget["metadata"]["name"] == name
        assert budget["spec"]["minAvailable"] < min([found["spec"]["replicas"], *scaled])


def test_services_and_policies_find_pods() -> None:
    """Flower's, the exporter's, and both network policies."""
    for each in objects("Service", "NetworkPolicy"):
        spec = each["spec"]
        wanted = (spec.get("selector") or spec["podSelector"]["matchLabels"]).items()
        found = [one for one in objects("Deployment") if wanted <= labels(one).items()]
        assert found, each["metadata"]["name"]
        if each["kind"] == "Service":
            ports = {port["name"] for port in container(found[0])["ports"]}
            assert {port["targetPort"] for port in spec["ports"]} <= ports


def test_every_group_is_scaled_by_its_own_queues_and_providers() -> None:
    """By KEDA and by the plain HPAs alike, between the same bounds."""
    for deployment in workers():
        name = deployment["metadata"]["name"]
        queues = set(container(deployment)["args"][0].removeprefix("--queues=").split(","))
        keda, plain = named(name, "ScaledObject")["spec"], named(name, "HorizontalPodAutoscaler")["spec"]
        told = [trigger["metadata"]["query"] for trigger in keda["triggers"]]
        depths, calls = (set(re.findall(r'=~"([^"]+)"', query)[0].split("|")) for query in told)
        values = [
            set(each["external"]["metric"]["selector"]["matchExpressions"][0]["values"])
            for each in plain["metrics"]
        ]

        assert keda["scaleTargetRef"]["name"] == plain["scaleTargetRef"]["name"] == name
        assert (keda["minReplicaCount"], keda["maxReplicaCount"]) == (
            plain["minReplicas"],
            plain["maxReplicas"],
        )
        assert values == [depths, calls]
        assert calls == queues - {UPKEEP}
        assert depths in (queues, queues - {UPKEEP})


def test_without_redis_the_largest_group_keeps_to_a_providers_rate() -> None:
    """Each worker then takes its part of the rate; more workers than parts would overrun it."""
    most = max(each["spec"]["maxReplicaCount"] for each in objects("ScaledObject"))
    parts = int(named("narrows", "ConfigMap")["data"]["NARROWS_FLEET_SIZE"])

    assert parts >= most


def test_monitors_look_where_the_metrics_are() -> None:
    """Each by labels that pods or services have, with the token of the Secret."""
    known = set(named("narrows", "Secret")["stringData"])
    for each in objects("PodMonitor", "ServiceMonitor"):
        wanted = each["spec"]["selector"]["matchLabels"].items()
        seen = workers() if each["kind"] == "PodMonitor" else objects("Service")
        found = [one for one in seen if wanted <= (one["metadata"]["labels"]).items()]
        (endpoint,) = each["spec"].get("endpoints") or each["spec"]["podMetricsEndpoints"]
        assert found, each["metadata"]["name"]
        assert endpoint["authorization"]["credentials"]["key"] in known
        assert endpoint["relabelings"][0]["replacement"] == each["metadata"]["name"]


@pytest.mark.parametrize("folder", ["", "keda", "hpa", "flower", "monitoring"])
def test_kustomize_takes_it(folder: str, tmp_path: Path) -> None:
    """The real one, where there is a kubectl; alone and with each of the folders."""
    if not (kubectl := shutil.which("kubectl")):
        pytest.skip("kubectl is not on this machine")
    shutil.copytree(FOLDER, tmp_path / "kubernetes")
    file = tmp_path / "kubernetes" / "kustomization.yaml"
    text = file.read_text(encoding="utf-8")
    assert "components: []" in text
    file.write_text(text.replace("components: []", f"components: [{folder}]"), encoding="utf-8")

    made = subprocess.run(
        [kubectl, "kustomize", str(file.parent)], capture_output=True, text=True, check=False
    )

    assert made.returncode == 0, made.stderr
    built = list(YAML(typ="safe", pure=True).load_all(made.stdout))
    free = {
        each["metadata"]["name"]
        for each in built
        if each["kind"] == "Deployment" and "replicas" not in each["spec"]
    }
    scaled = {each["metadata"]["name"] for each in workers()}
    assert {each["metadata"].get("namespace", "narrows") for each in built} == {"narrows"}
    assert (scaled <= free) == (folder in {"keda", "hpa"})


def _environment(deployment: Object, place: Path) -> dict[str, str]:
    """What the process of its pod sees, with the Secret's files in *place*."""
    secret = {
        "state-url": "redis://narrows:hunter2@state:6379/0",
        "cache-url": "redis://narrows:hunter3@cache:6379/0",
        "metrics-token": "t" * 48,
        "flower-auth": "ada:hunter4",
    }
    assert set(secret) == set(named("narrows", "Secret")["stringData"])
    for name, value in secret.items():
        (place / name).write_text(value, encoding="utf-8")
    one, found = container(deployment), dict(named("narrows", "ConfigMap")["data"])
    assert one["envFrom"][0] == {"configMapRef": {"name": "narrows"}}
    for source in one["envFrom"][1:]:
        keys = named(source["secretRef"]["name"], "Secret")["stringData"]
        found |= dict.fromkeys(keys, "key")
    for each in one.get("env", ()):
        reference = each.get("valueFrom", {}).get("secretKeyRef")
        found[each["name"]] = secret[reference["key"]] if reference else each["value"]
    assert {mount["mountPath"] for mount in one["volumeMounts"]} == {PLACE.rstrip("/"), "/tmp"}  # noqa: S108
    return {name: value.replace(PLACE, f"{place}/") for name, value in found.items()}
