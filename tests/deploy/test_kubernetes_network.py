"""Who may reach the pods, and whom they may reach."""

from urllib.parse import urlsplit

import pytest

from service.settings import PREFIX, Settings
from tests.deploy.conftest import Render
from tests.deploy.test_kubernetes import INSTALLATIONS, of_kind, settings_of


@pytest.mark.parametrize("installation", INSTALLATIONS, ids="+".join)
def test_no_traffic_is_allowed_but_requests_to_the_one_port(
    installation: tuple[str, ...], render: Render
) -> None:
    policies = [manifest["spec"] for manifest in of_kind(render(*installation), "NetworkPolicy")]

    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies
    assert any("egress" in policy for policy in policies) == ("traces" in installation)
    for policy in policies:
        for rule in policy.get("ingress", []):
            assert rule["from"]
            assert rule["ports"] == [{"port": "http", "protocol": "TCP"}]


def test_traces_may_go_to_their_collector_and_its_name_may_be_asked_for(render: Render) -> None:
    manifests = render("cpu", "traces")
    (policy,) = (
        manifest["spec"]
        for manifest in of_kind(manifests, "NetworkPolicy")
        if "egress" in manifest["spec"]
    )
    (deployment,) = of_kind(manifests, "Deployment")
    collector = urlsplit(settings_of(manifests)[f"{PREFIX}TRACES_URL"])
    assert collector.hostname is not None
    name, namespace, _ = collector.hostname.split(".")

    (to_collector, to_names) = policy["egress"]

    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    assert policy["podSelector"]["matchLabels"].items() <= labels
    assert to_collector["to"] == [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": name}},
        }
    ]
    assert to_collector["ports"] == [{"port": collector.port, "protocol": "TCP"}]
    assert len(to_names["to"]) == 1
    assert {port["port"] for port in to_names["ports"]} == {53}


def test_the_ingress_passes_on_streams_and_lets_the_service_answer_first(render: Render) -> None:
    manifests = render("cpu", "ingress")
    (ingress,) = of_kind(manifests, "Ingress")
    (service,) = of_kind(manifests, "Service")
    prefix = "nginx.ingress.kubernetes.io/proxy-"
    proxy = {
        name.removeprefix(prefix): value
        for name, value in ingress["metadata"]["annotations"].items()
    }
    settings = Settings()

    assert proxy["buffering"] == "off"
    assert int(proxy["read-timeout"]) > settings.timeout_seconds
    assert int(proxy["body-size"].removesuffix("m")) * 2**20 > settings.max_body_bytes
    (rule,) = ingress["spec"]["rules"]
    assert rule["http"]["paths"][0]["backend"]["service"] == {
        "name": service["metadata"]["name"],
        "port": {"name": service["spec"]["ports"][0]["name"]},
    }
