"""What every test shares: a fixed seed, the hypothesis profiles, and checked shapes in `model`."""

import os
import random
import sys
from importlib.util import find_spec

import hypothesis
import pytest

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # some tests import onnxruntime before our packages do

SEED = int(os.environ.get("TEST_SEED", "20170612"))

# By default each run draws the same examples; `--hypothesis-profile=explore` looks for new ones.
hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.register_profile(
    "explore", derandomize=False, deadline=None, print_blob=True, max_examples=2_000
)
hypothesis.settings.load_profile("fixed")

if find_spec("torch") and find_spec("jaxtyping") and find_spec("beartype"):
    from jaxtyping import install_import_hook

    # Before any test imports `model`: from here on a wrong shape or dtype there is an error.
    install_import_hook("model", "beartype.beartype")


def pytest_report_header() -> str:
    return f"seed: {SEED} (set TEST_SEED to change it)"


@pytest.fixture(autouse=True)
def _seed_everything() -> None:
    """Seed each generator that is loaded, so that a test alone draws what it draws in the suite."""
    random.seed(SEED)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(SEED)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(SEED)
