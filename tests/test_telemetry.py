"""onnxruntime tells its vendor nothing: it would leave an identifier in the home folder first."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SILENCERS = {"CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}


@pytest.mark.parametrize("module", ["service.engine.runner", "export.onnx_model"])
def test_what_imports_onnxruntime_silences_it(module: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in SILENCERS}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}

    subprocess.run([sys.executable, "-c", f"import {module}"], env=environment, check=True)

    assert list(tmp_path.rglob("*")) == []
