"""A real Prometheus, a real service, a little load: rules evaluate, and every panel has data."""

import asyncio
import json
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from deploy.chaos.server import free_port, serving
from deploy.loadtest.http_client import Connection
from tests.bundles import write_bundle
from tests.deploy.test_grafana import PANELS
from tests.deploy.test_prometheus import FETCHED, FOLDER

PROMETHEUS = shutil.which("prometheus") or str(FETCHED.with_name("prometheus"))
PATIENCE_SECONDS = 60.0
VARIABLES = {"$job": "dragoman", "$instance": ".*", "$__rate_interval": "10s"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path(PROMETHEUS).exists(), reason="there is no Prometheus: promtool"),
]


def test_rules_evaluate_and_every_panel_has_data(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "tiny")

    async def scenario() -> None:
        async with serving(bundle) as server, watching(server.url, tmp_path) as prometheus:
            load = asyncio.create_task(ask_for_ever(server.url))
            await until_all_rules_are_healthy(prometheus)
            for panel in PANELS:
                for target in panel["targets"]:
                    await until_there_is_data(prometheus, target)
            load.cancel()
            with suppress(asyncio.CancelledError):
                await load

    asyncio.run(scenario())


@asynccontextmanager
async def watching(url: str, folder: Path) -> AsyncIterator[str]:
    """Prometheus with the project's configuration, but for addresses and intervals."""
    port = free_port()
    config = yaml.safe_load((FOLDER / "prometheus.yaml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(FOLDER / file) for file in config["rule_files"]]
    address = url.removeprefix("http://")
    config["scrape_configs"] = [
        {"job_name": "dragoman", "static_configs": [{"targets": [address]}]}
    ]
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    options = {
        "config.file": folder / "prometheus.yaml",
        "storage.tsdb.path": folder / "data",
        "web.listen-address": f"127.0.0.1:{port}",
        "log.level": "error",
    }
    command = [PROMETHEUS, *(f"--{name}={value}" for name, value in options.items())]
    with subprocess.Popen(command) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


async def ask_for_ever(url: str) -> None:
    while True:
        async with Connection(url) as connection:
            await connection.translate("Guten Morgen", "de", "en")
        await asyncio.sleep(0.05)


async def query(prometheus: str, path: str, **parameters: str) -> dict[str, Any]:
    """What its API answers; nothing while it starts."""
    try:
        found = await asyncio.to_thread(
            fetch, f"{prometheus}/api/v1/{path}?{urlencode(parameters)}"
        )
    except OSError:
        return {}
    return dict(json.loads(found)["data"])


def fetch(url: str) -> bytes:
    with urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


async def until_all_rules_are_healthy(prometheus: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    states: dict[str, str] = {}
    while time.monotonic() < deadline:
        groups = (await query(prometheus, "rules")).get("groups", [])
        states = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
        if states and set(states.values()) == {"ok"}:
            return
        await asyncio.sleep(0.5)
    raise AssertionError(states)


async def until_there_is_data(prometheus: str, target: dict[str, Any]) -> None:
    """Numbers for a panel, each with the labels that its name in the legend wants."""
    expression = target["expr"]
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    deadline = time.monotonic() + PATIENCE_SECONDS
    series: list[dict[str, Any]] = []
    while time.monotonic() < deadline:
        series = (await query(prometheus, "query", query=expression)).get("result", [])
        if any(one["value"][1] != "NaN" for one in series):
            break
        await asyncio.sleep(0.5)
    else:
        raise AssertionError(f"{expression}: {series}")
    wanted = set(re.findall(r"{{(\w+)}}", target.get("legendFormat", "")))
    assert all(wanted <= one["metric"].keys() for one in series), (expression, series)
