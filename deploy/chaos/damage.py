"""A bundle that was damaged on its way."""

import asyncio
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.chaos.promise import Outcome, Scenario, judge
from deploy.chaos.server import end_of_start


async def _damage(bundle: Path) -> Outcome:
    with TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(bundle, Path(folder) / "bundle"))
        name = min(path.name for path in copy.glob("*.onnx"))
        content = bytearray((copy / name).read_bytes())
        content[len(content) // 2] ^= 1  # one bit
        (copy / name).write_bytes(content)
        return await asyncio.to_thread(_start_on, copy, name)


def _start_on(bundle: Path, damaged: str) -> Outcome:
    try:
        code, errors = end_of_start(bundle)
    except subprocess.TimeoutExpired:
        return judge(False, f"it serves on with one bit of {damaged} turned")
    last = (errors.splitlines() or [""])[-1]
    kept = code > 0 and damaged in last and "Traceback" not in errors
    said = last.replace(str(bundle.parent), "").replace("|", "/")
    return judge(kept, f"one bit of {damaged} turned; exit code {code}; `{said}`")


DAMAGE = Scenario(
    name="one wrong bit in a bundle",
    promise="The service does not start; it names the file and ends with an exit code above 0.",
    run=_damage,
)
