"""Kubernetes manifests as `kubectl apply -k` would send them."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

KUBERNETES = Path(__file__).parents[2] / "deploy/kubernetes"

Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]


@pytest.fixture(scope="session")
def render(tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Render an overlay with components added to it, by Kustomize itself."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl, which renders the manifests, is not installed")
    rendered: dict[tuple[str, ...], list[Manifest]] = {}

    def run(overlay: str, *components: str) -> list[Manifest]:
        key = overlay, *components
        if key not in rendered:
            folder = tmp_path_factory.mktemp("kustomization")
            rendered[key] = _kustomize(folder, overlay, components)
        return rendered[key]

    return run


def _kustomize(folder: Path, overlay: str, components: tuple[str, ...]) -> list[Manifest]:
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(KUBERNETES / "overlays" / overlay, folder)],
        "components": [os.path.relpath(KUBERNETES / "components" / c, folder) for c in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    done = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return list(yaml.safe_load_all(done.stdout))
