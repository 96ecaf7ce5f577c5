"""The compose file: pinned images, probes, limits, no privileges, and only settings that exist."""

import re
from typing import Any

import pytest
import yaml

from deploy.loadtest.plan import parse
from service.settings import PREFIX, Settings
from tests.deploy.test_prometheus import ROOT

COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
each_service = pytest.mark.parametrize("name", SERVICES)
FORBIDDEN = {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices", "userns_mode"}


def resolved(image: str) -> str:
    """An image as it is when no variable is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", image)


def test_these_are_the_services() -> None:
    assert SERVICES.keys() == {"dragoman", "prometheus", "grafana", "load"}
    assert {name for name in SERVICES if "profiles" in SERVICES[name]} == {"load"}


@each_service
def test_an_image_is_pinned_to_a_version(name: str) -> None:
    _, _, tag = resolved(SERVICES[name]["image"]).rpartition(":")

    assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag)


@each_service
def test_a_container_may_do_nothing_that_it_need_not(name: str) -> None:
    service = SERVICES[name]

    assert not FORBIDDEN & service.keys()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])


@each_service
def test_a_container_that_serves_is_probed_at_its_own_port(name: str) -> None:
    service = SERVICES[name]
    if "ports" not in service:
        assert service["healthcheck"] == {"disable": True}
        return
    [(address, host_port, port)] = [port.split(":") for port in service["ports"]]

    assert (address, host_port) == ("127.0.0.1", port)
    assert f"http://127.0.0.1:{port}/" in service["healthcheck"]["test"][-1]


@each_service
def test_what_is_mounted_exists_and_is_read_only(name: str) -> None:
    for mount in SERVICES[name].get("volumes", ()):
        source, _, *mode = mount.split(":")
        if source.startswith("."):
            assert (ROOT / "deploy" / source).is_dir()
            assert mode == ["ro"]
        else:
            assert source in COMPOSE["volumes"]


def test_settings_exist_and_the_drain_ends_before_the_stop() -> None:
    service = SERVICES["dragoman"]
    given = {key.removeprefix(PREFIX).lower(): v for key, v in service["environment"].items()}
    settings = Settings(**given)

    assert float(service["stop_grace_period"].removesuffix("s")) > settings.drain_seconds
    assert service["cpus"] == settings.threads


def test_services_that_are_waited_for_have_a_probe() -> None:
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "test" in SERVICES[other]["healthcheck"]


def test_prometheus_is_given_the_configuration_that_is_checked() -> None:
    prometheus = SERVICES["prometheus"]

    assert "--config.file=/etc/prometheus/prometheus.yaml" in prometheus["command"]
    assert "./prometheus:/etc/prometheus:ro" in prometheus["volumes"]


def test_prometheus_finds_the_service_by_its_name_and_port() -> None:
    path = ROOT / "deploy" / "prometheus" / "prometheus.yaml"
    jobs = {job["job_name"]: job for job in yaml.safe_load(path.read_text())["scrape_configs"]}
    [discovery] = jobs["dragoman"]["dns_sd_configs"]

    assert discovery["names"] == ["dragoman"]
    assert SERVICES["dragoman"]["ports"] == [f"127.0.0.1:{discovery['port']}:{discovery['port']}"]


def test_grafana_is_given_what_it_shows_and_where_to_ask() -> None:
    mounts = SERVICES["grafana"]["volumes"]

    assert "./grafana/provisioning:/etc/grafana/provisioning:ro" in mounts
    assert "./grafana/dashboards:/etc/grafana/dashboards:ro" in mounts


def test_grafana_has_no_password_to_guess_and_lets_nobody_change_anything() -> None:
    environment = SERVICES["grafana"]["environment"]

    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert not [name for name in environment if "PASSWORD" in name]
    home = environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (ROOT / "deploy" / "grafana" / "dashboards" / home.rpartition("/")[2]).exists()


def test_the_load_generator_is_told_options_that_it_has() -> None:
    assert SERVICES["load"]["entrypoint"] == ["python", "-m", "deploy.loadtest"]

    plan = parse(SERVICES["load"]["command"])

    assert (plan.url, plan.capacity, plan.shares) == ("http://dragoman:8000", 5.0, (1.0,))
