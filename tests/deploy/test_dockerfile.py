"""The Dockerfile: linted, pinned, and its health check really asks the service."""

import json
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def find(pattern: str) -> str:
    """The one group of the one line that matches."""
    (found,) = re.findall(pattern, DOCKERFILE, flags=re.MULTILINE)
    return str(found)


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A service whose probe answers so; yields its port."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
    assert asked == ["/readyz"]


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")

    done = subprocess.run(
        [hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(("status", "expected"), [(200, 0), (503, 1)])
def test_healthy_is_what_is_ready(status: int, expected: int) -> None:
    python, *arguments = json.loads(find(r"^HEALTHCHECK .*CMD (\[.*\])$"))
    assert python == "python"

    with answering(status) as port:
        done = subprocess.run(
            [sys.executable, *arguments], env={"DRAGOMAN_PORT": str(port)}, check=False
        )

    assert done.returncode == expected


def test_every_stage_begins_with_the_one_base_or_another_stage() -> None:
    stages = re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)

    assert len(stages) == DOCKERFILE.count("\nFROM ")
    names = {name for _, name in stages}
    assert {base for base, _ in stages} <= {"${PYTHON_IMAGE}", *names}
    assert not find(r"^ARG PYTHON_IMAGE=(\S+)$").endswith(("latest", "python"))


def test_what_is_built_without_a_target_is_for_cpus() -> None:
    assert re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)[-1] == "cpu"


def test_both_targets_come_from_one_list_of_dependencies() -> None:
    (wanted,) = [
        Requirement(line)
        for line in PROJECT["optional-dependencies"]["service"]
        if Requirement(line).name == "onnxruntime"
    ]

    assert wanted.specifier.contains(find(r"^ARG ONNXRUNTIME_GPU=(\S+)$"))
    assert DOCKERFILE.count("[service]") == 1


def test_the_user_is_a_number_and_not_root() -> None:
    user, group = find(r"^USER (\S+)$").split(":")

    assert min(int(user), int(group)) >= 10_000


def test_the_server_is_process_1_and_not_a_shell() -> None:
    assert json.loads(find(r"^ENTRYPOINT (.*)$")) == ["dragoman"]
    assert json.loads(find(r"^CMD (.*)$")) == ["serve"]


def test_the_label_names_the_version_that_is_built() -> None:
    assert find(r"^ARG VERSION=(\S+)$") == PROJECT["version"]
