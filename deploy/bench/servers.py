"""The servers: how each is started on the same weights, and stopped again."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.bench.convert import convert
from deploy.bench.http_client import Connection
from deploy.bench.load import HEALTH_PATH
from deploy.bench.memory import high_water_bytes
from deploy.bench.peers import OURS, Files
from model import checkpoint

START_SECONDS = 120.0
STOP_SECONDS = 15.0
ROOT = Path(__file__).parents[2]
LIBRETRANSLATE_PYTHON = ROOT / ".venv-libretranslate" / "bin" / "python"
CTRANSLATE2_APP, LIBRETRANSLATE = "ctranslate2 app", "libretranslate"
LANGUAGE_NAMES = {"en": "English", "de": "German"}


Start = tuple[list[str], dict[str, str]]  # a command and what it needs in the environment


@dataclass(frozen=True, kw_only=True)
class Server:
    """A process that listens.

    Attributes:
        process_id: of the one that was started, which holds all threads.
    """

    name: str
    port: int
    process_id: int

    @property
    def peak_bytes(self) -> int:
        """Its largest resident set so far."""
        return high_water_bytes(str(self.process_id))


def _dragoman(files: Files) -> Start:
    command = [sys.executable, "-m", "dragoman", "serve", "--bundle", str(files.bundle)]
    return command, {
        "DRAGOMAN_BEAM_SIZE": "1",
        "DRAGOMAN_PRECISION": "int8",
        "DRAGOMAN_LOG_LEVEL": "warning",
    }


def _ctranslate2(files: Files) -> Start:
    return [sys.executable, "-m", "deploy.bench.ctranslate2_app", str(files.folder)], {}


def _libretranslate(files: Files) -> Start:
    """At its best, as far as its settings go: two workers of one thread, greedy."""
    home = files.folder / "libretranslate"
    _write_packages(files, home / "packages")
    command = [
        *(str(LIBRETRANSLATE_PYTHON), "-m", "deploy.bench.libretranslate_server"),
        *("--threads", "2", "--disable-web-ui", "--disable-files-translation"),
    ]
    return command, {
        "ARGOS_PACKAGES_DIR": str((home / "packages").absolute()),
        "ARGOS_INTER_THREADS": "2",
        "ARGOS_INTRA_THREADS": "1",
        "ARGOS_BEAM_SIZE": "1",
        "ARGOS_COMPUTE_TYPE": "int8",
        **{f"XDG_{kind}_HOME": str((home / kind).absolute()) for kind in ("DATA", "CONFIG")},
        "XDG_CACHE_HOME": str((home / "CACHE").absolute()),
    }


def _write_packages(files: Files, folder: Path) -> None:
    """An Argos package of each direction, unless they are there."""
    loaded = checkpoint.load(files.checkpoint)
    for source, target in loaded.directions:
        package = folder / f"{source}_{target}"
        if package.exists():
            continue
        convert(loaded, package / "model", target=target)
        shutil.copy(files.bundle / "tokenizer.model", package / "sentencepiece.model")
        metadata = {
            "package_version": "1.0",
            "argos_version": "1.0",
            "from_code": source,
            "from_name": LANGUAGE_NAMES[source],
            "to_code": target,
            "to_name": LANGUAGE_NAMES[target],
        }
        (package / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")


STARTS: dict[str, Callable[[Files], Start]] = {
    OURS: _dragoman,
    CTRANSLATE2_APP: _ctranslate2,
    LIBRETRANSLATE: _libretranslate,
}


@contextmanager
def all_servers(files: Files) -> Iterator[list[Server]]:
    """Start every server that is installed, and stop them at the end."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(_running(name, files, start(files)))
            for name, start in STARTS.items()
            if name != LIBRETRANSLATE or LIBRETRANSLATE_PYTHON.exists()
        ]
        yield servers


@contextmanager
def _running(name: str, files: Files, start: Start) -> Iterator[Server]:
    """A server that answers; it is ended by SIGTERM, and killed if it does not listen to that."""
    (command, extra), port = start, _free_port()
    with (files.folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            env={**os.environ, "PYTHONPATH": str(ROOT), **extra},
            stdout=log,
            stderr=log,
        )
    try:
        asyncio.run(_wait(name, port, process))
        yield Server(name=name, port=port, process_id=process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


async def _wait(name: str, port: int, process: "subprocess.Popen[bytes]") -> None:
    """Ask for health until it is well.

    Raises:
        RuntimeError: if the process ends, or is not ready in time.
    """
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended with {process.returncode} before it was ready")
        try:
            async with Connection(port) as connection:
                if (await connection.get(HEALTH_PATH)).status == 200:
                    return
        except OSError:
            pass
        await asyncio.sleep(0.2)
    raise RuntimeError(f"{name} was not ready after {START_SECONDS:.0f} s")
