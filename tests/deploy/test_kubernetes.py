"""The Kubernetes manifests: valid for the API, and by the rules of this project."""

import json
import re
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
from prometheus_client import CollectorRegistry

from service.metrics import EngineMetrics, RequestMetrics, ServiceMetrics
from service.settings import PREFIX, Settings, load_settings
from tests.deploy.conftest import KUBERNETES, Manifest, Render

# Every overlay and every component, alone and with those that go together with it.
INSTALLATIONS = [
    ("cpu",),
    ("gpu",),
    ("cpu", "monitoring"),
    ("cpu", "ingress"),
    ("cpu", "traces"),
    ("cpu", "autoscale-hpa"),
    ("gpu", "autoscale-keda"),
    ("cpu", "autoscale-hpa", "monitoring", "ingress", "traces"),
    ("cpu", "autoscale-keda", "monitoring", "ingress", "traces"),
]
# The oldest that knows a preStop of the kind that is used, and the newest with a schema.
VERSIONS = ("1.30", "1.37")
SCHEMAS = {path.stem: path for path in (Path(__file__).parent / "schemas").glob("*.json")}
EVERYTHING = INSTALLATIONS[-2:]


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def pod_of(manifests: list[Manifest]) -> Any:
    (deployment,) = of_kind(manifests, "Deployment")
    return deployment["spec"]["template"]["spec"]


def settings_of(manifests: list[Manifest]) -> dict[str, str]:
    (config_map,) = of_kind(manifests, "ConfigMap")
    return dict(config_map["data"])


@pytest.fixture(params=INSTALLATIONS, ids="+".join)
def manifests(request: pytest.FixtureRequest, render: Render) -> list[Manifest]:
    return render(*request.param)


def test_every_overlay_and_component_is_tried() -> None:
    overlays, components = (
        {path.name for path in (KUBERNETES / folder).iterdir()}
        for folder in ("overlays", "components")
    )
    assert {overlay for overlay, *_ in INSTALLATIONS} == overlays
    tried = set(chain.from_iterable(rest for _, *rest in INSTALLATIONS))
    assert tried | {"gpu"} == components  # this one comes with its overlay


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid_and_has_no_unknown_field(
    manifests: list[Manifest], version: str
) -> None:
    for manifest in manifests:
        if manifest["kind"] in SCHEMAS:
            schema = json.loads(SCHEMAS[manifest["kind"]].read_text(encoding="utf-8"))
            jsonschema.Draft202012Validator(schema).validate(manifest)
        else:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_everything_but_the_namespace_is_in_it(manifests: list[Manifest]) -> None:
    (namespace,) = of_kind(manifests, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for manifest in manifests:
        if manifest is not namespace:
            assert manifest["metadata"]["namespace"] == namespace["metadata"]["name"]


def test_pods_keep_the_restricted_standard_and_more(manifests: list[Manifest]) -> None:
    pod = pod_of(manifests)

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] >= 10_000
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert {name for volume in pod["volumes"] for name in volume} == {"name", "emptyDir"}
    for container in pod["containers"] + pod.get("initContainers", []):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_service_links_are_off_because_they_would_inject_a_foreign_port(
    manifests: list[Manifest],
) -> None:
    assert pod_of(manifests)["enableServiceLinks"] is False


def test_every_container_has_limits_that_are_its_requests(manifests: list[Manifest]) -> None:
    for container in pod_of(manifests)["containers"]:
        resources = container["resources"]
        assert {"cpu", "memory", "ephemeral-storage"} <= resources["limits"].keys()
        assert resources["requests"] == resources["limits"]


def test_every_container_has_three_probes_and_liveness_asks_for_life_only(
    manifests: list[Manifest],
) -> None:
    for container in pod_of(manifests)["containers"]:
        assert container["startupProbe"]["httpGet"]["path"] == "/readyz"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert container["livenessProbe"]["httpGet"]["path"] == "/livez"


def test_images_have_the_version_of_the_project(manifests: list[Manifest]) -> None:
    pyproject = (KUBERNETES.parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    version = tomllib.loads(pyproject)["project"]["version"]
    for container in pod_of(manifests)["containers"]:
        tag = container["image"].rpartition(":")[2]
        assert tag in (version, f"{version}-gpu")


def test_a_pod_may_take_longer_to_end_than_its_delay_and_both_drains(
    manifests: list[Manifest],
) -> None:
    pod = pod_of(manifests)
    (container,) = pod["containers"]
    delay = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = float(settings_of(manifests)[f"{PREFIX}DRAIN_SECONDS"])

    assert delay > 0
    # Connections may use the whole drain, and the engine after them another.
    assert pod["terminationGracePeriodSeconds"] > delay + 2 * drain


def test_the_delay_lasts_until_a_failing_readiness_would_be_noticed(render: Render) -> None:
    (container,) = pod_of(render("cpu"))["containers"]
    probe = container["readinessProbe"]

    delay = container["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert delay >= probe["periodSeconds"] * probe["failureThreshold"]


def test_the_settings_are_real_and_within_their_ranges(
    manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings_of(manifests).items():
        is_of_the_server = name == "FORWARDED_ALLOW_IPS"
        assert is_of_the_server or name.removeprefix(PREFIX).lower() in Settings.model_fields
        monkeypatch.setenv(name, value)

    settings = load_settings()

    (container,) = pod_of(manifests)["containers"]
    assert settings.host == "0.0.0.0"
    assert container["ports"] == [
        {"name": "http", "containerPort": settings.port, "protocol": "TCP"}
    ]


def test_pods_read_the_settings_and_no_secret_from_the_environment(
    manifests: list[Manifest],
) -> None:
    (config_map,) = of_kind(manifests, "ConfigMap")
    for container in pod_of(manifests)["containers"]:
        assert container["envFrom"] == [{"configMapRef": {"name": config_map["metadata"]["name"]}}]
        assert "env" not in container


def test_a_changed_setting_has_another_name_so_that_pods_are_replaced(render: Render) -> None:
    (config_map,) = of_kind(render("cpu"), "ConfigMap")

    assert re.fullmatch(r"dragoman-settings-[a-z0-9]{10}", config_map["metadata"]["name"])


def test_selectors_find_the_pods(manifests: list[Manifest]) -> None:
    (deployment,) = of_kind(manifests, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    (service,) = of_kind(manifests, "Service")
    (budget,) = of_kind(manifests, "PodDisruptionBudget")
    selectors = [
        service["spec"]["selector"],
        budget["spec"]["selector"]["matchLabels"],
        deployment["spec"]["selector"]["matchLabels"],
        *(
            spread["labelSelector"]["matchLabels"]
            for spread in pod_of(manifests)["topologySpreadConstraints"]
        ),
    ]
    for monitor in of_kind(manifests, "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        assert wanted <= service["metadata"]["labels"].items()

    assert all(selector.items() <= labels for selector in selectors)


def test_a_rollout_and_a_disruption_leave_replicas(manifests: list[Manifest]) -> None:
    (deployment,) = of_kind(manifests, "Deployment")
    (budget,) = of_kind(manifests, "PodDisruptionBudget")

    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert budget["spec"]["maxUnavailable"] == 1
    assert deployment["spec"].get("replicas", 2) >= 2


@pytest.mark.parametrize("installation", INSTALLATIONS, ids="+".join)
def test_the_number_of_replicas_has_one_owner(
    installation: tuple[str, ...], render: Render
) -> None:
    manifests = render(*installation)
    scalers = of_kind(manifests, "HorizontalPodAutoscaler") + of_kind(manifests, "ScaledObject")
    (deployment,) = of_kind(manifests, "Deployment")

    assert len(scalers) + ("replicas" in deployment["spec"]) == 1
    for scaler in scalers:
        assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]


@pytest.mark.parametrize("installation", EVERYTHING, ids="+".join)
def test_alerts_and_scalers_name_metrics_that_exist(
    installation: tuple[str, ...], render: Render
) -> None:
    registry = CollectorRegistry()
    for metrics in (ServiceMetrics, RequestMetrics, EngineMetrics):
        metrics(registry)
    declared = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in registry.collect()
    }
    adapter = (KUBERNETES / "components/autoscale-hpa/adapter.yaml").read_text(encoding="utf-8")
    monitoring = [
        manifest
        for manifest in render(*installation)
        if manifest["kind"] in (*SCHEMAS, "HorizontalPodAutoscaler")
    ]

    named = set(re.findall(r"\bdragoman_\w+", json.dumps(monitoring) + adapter))

    assert len(named) >= 3
    assert named <= declared


def test_a_gpu_is_asked_for_only_in_its_overlay(render: Render) -> None:
    def resources(overlay: str) -> Any:
        (container,) = pod_of(render(overlay))["containers"]
        return container["resources"]["limits"]

    def provider(overlay: str) -> Any:
        (config_map,) = of_kind(render(overlay), "ConfigMap")
        return config_map["data"].get("DRAGOMAN_PROVIDER")

    assert (resources("gpu")["nvidia.com/gpu"], provider("gpu")) == ("1", "cuda")
    assert "nvidia.com/gpu" not in resources("cpu")
    assert provider("cpu") is None
