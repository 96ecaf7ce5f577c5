"""The servers: how each is started on the same weights, and stopped again."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.bench.convert import convert
from deploy.bench.load import HEALTH_PATH
from deploy.bench.memory import high_water_bytes
from deploy.bench.peers import OURS, Files
from deploy.loadtest.local_server import running
from model import checkpoint

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
    url: str
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
    command, extra = start
    environment = {"PYTHONPATH": str(ROOT), **extra}
    log = files.folder / f"{name}.log"
    # Ours is in good health while it loads; the others load before they listen.
    ready_path = "/readyz" if name == OURS else HEALTH_PATH
    with running(command, environment, log, ready_path) as (url, process_id):
        yield Server(name=name, url=url, process_id=process_id)
