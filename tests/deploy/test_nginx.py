"""The configuration of nginx: it lets the service answer first, and nginx understands it."""

import re
import subprocess
from pathlib import Path

import pytest

from deploy.chaos.nginx import CONFIG, configuration, find_nginx
from service.settings import Settings

TEXT = CONFIG.read_text(encoding="utf-8")
NGINX = find_nginx()


def directive(name: str) -> str:
    (value,) = re.findall(rf"^ *{name} ([^;]+);", TEXT, flags=re.MULTILINE)
    return str(value)


def test_the_refusals_of_the_service_arrive_and_not_those_of_nginx() -> None:
    settings = Settings()

    assert int(directive("client_max_body_size").removesuffix("m")) << 20 == (
        2 * settings.max_body_bytes
    )
    assert int(directive("proxy_read_timeout").removesuffix("s")) > settings.timeout_seconds
    assert "429" not in directive("proxy_next_upstream")


def test_no_text_is_written_down() -> None:
    assert directive("client_body_buffer_size") == directive("client_max_body_size")
    assert directive("proxy_max_temp_file_size") == "0"
    assert "$request " not in TEXT
    assert "$args" not in TEXT
    assert "$request_uri" not in TEXT


@pytest.mark.skipif(NGINX is None, reason="there is no nginx: `make nginx`, or Debian's nginx")
def test_nginx_understands_it(tmp_path: Path) -> None:
    file = tmp_path / "nginx.conf"
    file.write_text(configuration(tmp_path, 8080, [8001, 8002]), encoding="utf-8")

    command = [str(NGINX), "-t", "-p", str(tmp_path), "-c", str(file), "-e", "stderr"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr
    assert "warn" not in run.stderr
