"""What export writes, as service reads it."""

from pathlib import Path

import pytest

from service.bundle import Bundle, load_bundle
from tests.bundles import write_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path: Path = write_bundle(tmp_path_factory.mktemp("bundles") / "tiny")
    return load_bundle(path)
