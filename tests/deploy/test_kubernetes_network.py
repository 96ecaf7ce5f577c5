"""Who may reach the pods, and whom they may reach."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

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
    assert int(proxy["body-size"].removesuffix("m")) * 2**20 == 2 * settings.max_body_bytes
    assert "429" not in proxy["next-upstream"]
    (rule,) = ingress["spec"]["rules"]
    assert rule["http"]["paths"][0]["backend"]["service"] == {
        "name": service["metadata"]["name"],
        "port": {"name": service["spec"]["ports"][0]["name"]},
    }


def test_the_service_believes_the_ingress_who_its_client_is(render: Render) -> None:
    (config_map,) = of_kind(render("cpu", "ingress"), "ConfigMap")
    trusted = config_map["data"]["FORWARDED_ALLOW_IPS"]
    served: list[Any] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        served.append(scope["client"][0])

    def ask(forwarded: str) -> None:
        fields = [(b"x-forwarded-for", forwarded.encode())]
        scope: Any = {"type": "http", "client": ("10.1.2.3", 1), "headers": fields}
        behind_proxy = ProxyHeadersMiddleware(app, trusted_hosts=trusted)
        asyncio.run(behind_proxy(scope, _never, _never))

    ask("203.0.113.7")
    ask("198.51.100.1, 203.0.113.7")  # the first is what the client itself has written

    assert served == ["203.0.113.7", "203.0.113.7"]


async def _never(*_: Any) -> Any:
    raise AssertionError("nothing is read or sent")
