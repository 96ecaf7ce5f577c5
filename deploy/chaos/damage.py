"""A bundle that was damaged on its way."""

import asyncio
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.chaos.promise import Outcome, Scenario, judge
from deploy.chaos.server import START_SECONDS, free_port, start


async def _damage(bundle: Path) -> Outcome:
    with TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(bundle, Path(folder) / "bundle"))
        name = min(path.name for path in copy.glob("*.onnx"))
        content = bytearray((copy / name).read_bytes())
        content[len(content) // 2] ^= 1  # one bit
        (copy / name).write_bytes(content)
        return await asyncio.to_thread(_start_on, copy, name)


def _start_on(bundle: Path, damaged: str) -> Outcome:
    with start(bundle, free_port()) as process:
        try:
            _, errors = process.communicate(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return judge(False, f"it serves on with one bit of {damaged} turned")
    last = (errors.decode().splitlines() or [""])[-1]
    kept = process.returncode > 0 and damaged in last and b"Traceback" not in errors
    said = last.replace(str(bundle.parent), "").replace("|", "/")
    return judge(kept, f"one bit of {damaged} turned; exit code {process.returncode}; `{said}`")


DAMAGE = Scenario(
    name="one wrong bit in a bundle",
    promise="The service does not start; it names the file and ends with an exit code above 0.",
    run=_damage,
)
