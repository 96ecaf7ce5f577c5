"""What tests of the export share: one thread, and a tiny bundle exported once."""

from pathlib import Path

import pytest
import torch

from tests.bundles import write_bundle


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def tiny_bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle")
