"""Files that no peer reads here."""

from pathlib import Path

import pytest

from deploy.bench.peers import Files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(folder=tmp_path)
