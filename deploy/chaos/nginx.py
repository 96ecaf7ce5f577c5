"""A real nginx, with the project's own configuration, before services on this machine."""

import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.chaos.server import POLL_SECONDS, ROOT, START_SECONDS, NotStarted, free_port, is_ready

CONFIG = ROOT / "deploy" / "nginx.conf"
FETCHED = ROOT / "build" / "nginx" / "usr" / "sbin" / "nginx"
FRAME = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{}}
http {{
    client_body_temp_path {folder}/client_body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {config}
}}
"""


def find_nginx() -> str | None:
    """The program, installed or fetched by `make nginx`; None if there is none."""
    return shutil.which("nginx") or (str(FETCHED) if FETCHED.exists() else None)


def configuration(folder: Path, listen: int, ports: Sequence[int]) -> str:
    """All that nginx is told: the project's file, but for its addresses and the place of its log.

    Args:
        folder: for all that nginx writes.
        listen: its port on loopback.
        ports: of the replicas.
    """
    server = "server 127.0.0.1:8000 fail_timeout=1s;"
    replicas = " ".join(server.replace("8000", str(port)) for port in ports)
    config = CONFIG.read_text(encoding="utf-8")
    for written, wanted in (
        (server, replicas),
        ("listen 80;", f"listen 127.0.0.1:{listen};"),
        ("/var/log/nginx", str(folder)),
    ):
        assert written in config
        config = config.replace(written, wanted)
    return FRAME.format(folder=folder, config=config)


@asynccontextmanager
async def balancing(program: str, ports: Sequence[int]) -> AsyncIterator[str]:
    """Balance between the replicas at `ports` until the context ends; yields the address.

    Raises:
        NotStarted: if it does not answer.
    """
    listen, started = free_port(), time.monotonic()
    url = f"http://127.0.0.1:{listen}"
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "nginx.conf"
        file.write_text(configuration(Path(name), listen, ports), encoding="utf-8")
        with subprocess.Popen([program, "-p", name, "-c", str(file), "-e", "stderr"]) as process:
            try:
                while not await is_ready(url):
                    if process.poll() is not None or time.monotonic() - started > START_SECONDS:
                        raise NotStarted(f"nginx: exit code {process.poll()}")
                    await asyncio.sleep(POLL_SECONDS)
                yield url
            finally:
                process.terminate()
