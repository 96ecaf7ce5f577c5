"""The command as its users run it: another process, its exit status and what it prints."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from service import __main__ as main
from service.settings import PREFIX, Settings

COMMAND = [sys.executable, "-m", "service"]
# The real command, but for what answers: it says which port it took, and shouts.
STUB_COMMAND = """
import sys
import service.__main__ as main
from service.detect import Detector
from service.backend import Backend
from service.served_model import ServedModel
from tests.service.stub_engine import EOS_ID, TAG_IDS, StubEngine, StubTokenizer

def load(settings, on_step):
    model = ServedModel(
        name="stub", version="1", sha256="ab", precision="int8", provider="CPU",
        languages={"de": "German", "en": "English"}, tag_ids=TAG_IDS, eos_id=EOS_ID,
        length_penalty=1.0, max_source_tokens=66, max_target_tokens=99, max_target_ratio=2.0,
    )
    return Backend(
        model=model, tokenizer=StubTokenizer(), detector=Detector(("de", "en")), engine=StubEngine()
    )

main.load_backend = load
sys.exit(main.main(["--port", "0"]))
"""


@pytest.fixture
def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


def run(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_an_unknown_variable_ends_the_start_with_one_line(environment: dict[str, str]) -> None:
    result = run(env={**environment, "DRAGOMAN_PROT": "1"})

    assert result.returncode == 2
    assert result.stderr == (
        "dragoman serve: unknown variable DRAGOMAN_PROT; did you mean DRAGOMAN_PORT?\n"
    )


def test_a_wrong_argument_ends_the_start_with_its_range(environment: dict[str, str]) -> None:
    result = run("--port", "99999", env=environment)

    assert result.returncode == 2
    assert "it must be a whole number from 0 to 65535" in result.stderr


def test_a_port_in_use_ends_the_start_with_one_line(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = run("--port", str(port), env=environment)

    assert result.returncode == 2
    assert result.stderr.startswith(f"dragoman serve: cannot listen on 127.0.0.1:{port}: Address")
    assert result.stderr.count("\n") == 1


def test_a_missing_bundle_ends_the_start_and_is_named(
    environment: dict[str, str], tmp_path: Path
) -> None:
    result = run("--port", "0", "--bundle", str(tmp_path), env=environment)

    assert result.returncode == 2
    last = result.stderr.splitlines()[-1]
    assert last.startswith("dragoman serve: ")
    assert str(tmp_path) in last
    assert "Traceback" not in result.stderr


def test_a_start_without_threads_ends_with_the_reason(environment: dict[str, str]) -> None:
    """As where memory is short."""
    failing = """
import threading
start = threading.Thread.start
def fail(thread):
    if thread.name.startswith("service"):
        raise RuntimeError("can't start new thread")
    start(thread)
threading.Thread.start = fail
"""
    result = subprocess.run(
        [sys.executable, "-c", failing + STUB_COMMAND],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert result.returncode == 3
    assert "can't start new thread" in result.stderr


@pytest.fixture
def process(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    arguments = [sys.executable, "-c", STUB_COMMAND]
    with subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal_and_ends_in_peace(
    process: subprocess.Popen[str], number: signal.Signals
) -> None:
    assert process.stderr is not None
    listening = process.stderr.readline()
    url = listening.split("url=")[1].strip('"\n')
    assert " machine cpus=" in process.stderr.readline()
    assert " ready " in process.stderr.readline()

    request = {"q": "Hallo", "source": "de", "target": "en"}
    assert httpx2.post(f"{url}/translate", json=request).json() == {"translatedText": "HALLO"}
    process.send_signal(number)

    assert process.wait(timeout=30) == 0
    assert "drained in_time=True" in process.stderr.read()


def test_a_hangup_loads_the_bundle_again(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    lines = [process.stderr.readline() for _ in range(3)]
    assert " ready " in lines[-1]

    process.send_signal(signal.SIGHUP)
    assert " swapped " in process.stderr.readline()
    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=30) == 0


def test_idle_connections_outlive_those_of_proxies() -> None:
    proxies_seconds = 60  # nginx's default, and others'

    assert main.server_config(FastAPI(), Settings()).timeout_keep_alive > proxies_seconds


def test_the_client_of_a_trusted_proxy_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.1")
    config = main.server_config(FastAPI(), Settings())

    assert config.proxy_headers
    assert config.forwarded_allow_ips == "10.0.0.1"
