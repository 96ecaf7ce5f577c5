"""What is installed: equal versions everywhere, and never PyTorch where only serving is wanted."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: dict[str, list[str]] = PYPROJECT["project"]["optional-dependencies"]
TRAINING_ONLY = {"torch", "onnx", "jaxtyping", "sacrebleu", "safetensors", "tensorboard"}


def _constraint_lines() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    bare = (line.partition("#")[0].strip() for line in lines)
    return [line for line in bare if line]


def _pins() -> dict[str, Requirement]:
    pins = map(Requirement, _constraint_lines())
    return {canonicalize_name(pin.name): pin for pin in pins}


def _installed_by(extra: str) -> set[str]:
    """Names of all distributions that `dragoman[extra]` brings here, indirect ones included."""
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = list(map(Requirement, EXTRAS[extra]))
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        visit = name, frozenset(requirement.extras)
        if visit in seen:
            continue
        seen.add(visit)
        found.add(name)
        for needed in map(Requirement, metadata.requires(name) or []):
            environments = [{"extra": wanted} for wanted in ("", *requirement.extras)]
            if needed.marker is None or any(map(needed.marker.evaluate, environments)):
                waiting.append(needed)
    return found


def test_every_constraint_is_one_exact_version_and_no_address() -> None:
    for line in _constraint_lines():
        requirement = Requirement(line)
        assert re.fullmatch(r"==[0-9][0-9A-Za-z.]*", str(requirement.specifier)), line
        assert requirement.url is None, line
    assert "://" not in (ROOT / "constraints.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_declared_dependency_has_a_pin_that_satisfies_it(extra: str) -> None:
    pins = _pins()
    for requirement in map(Requirement, [*PYPROJECT["build-system"]["requires"], *EXTRAS[extra]]):
        if requirement.name == "dragoman":
            continue
        (pin,) = pins[canonicalize_name(requirement.name)].specifier
        assert requirement.specifier.contains(pin.version), f"{requirement} against {pin}"


def test_every_dependency_of_a_dependency_has_a_pin() -> None:
    assert _installed_by("service") <= _pins().keys()


def test_what_is_installed_here_is_what_the_constraints_say() -> None:
    installed: dict[str, str] = {
        canonicalize_name(found.name): found.version for found in metadata.distributions()
    }
    different = {
        name: installed[name]
        for name, pin in _pins().items()
        if name in installed and not pin.specifier.contains(installed[name])
    }
    assert different == {}, "run `make setup`"


def test_the_service_extra_brings_no_training_library() -> None:
    assert not _installed_by("service") & TRAINING_ONLY
    assert not any(name.startswith(("nvidia-", "cuda-")) for name in _installed_by("service"))


def test_the_service_imports_with_nothing_but_its_extra() -> None:
    # Blocking the rest finds both a library that the extra forgets and one that it must not use.
    allowed = _installed_by("service")
    foreign = sorted(
        module
        for module, owners in metadata.packages_distributions().items()
        if not any(canonicalize_name(owner) in allowed | {"dragoman"} for owner in owners)
    )
    script = f"""
import sys
sys.modules.update(dict.fromkeys({foreign!r}))  # None: the import fails as if it were absent
import importlib, pkgutil, service
for module in pkgutil.walk_packages(service.__path__, "service."):
    importlib.import_module(module.name)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel_paths() -> set[str]:
    builder = WheelBuilder(str(ROOT))
    return {file.distribution_path for file in builder.recurse_included_files()}


def test_the_wheel_holds_all_code_and_the_command(wheel_paths: set[str]) -> None:
    sources = [
        path for name in ("model", "export", "service") for path in ROOT.glob(f"{name}/**/*.py")
    ]
    assert {str(path.relative_to(ROOT)) for path in sources} <= wheel_paths
    assert "dragoman.py" in wheel_paths


@pytest.mark.parametrize(
    "pattern", ["service/*.html", "service/bundles/**/*", "model/recipes/*.toml"]
)
def test_the_wheel_holds_the_data(pattern: str, wheel_paths: set[str]) -> None:
    data = {str(path.relative_to(ROOT)) for path in ROOT.glob(pattern) if path.is_file()}
    assert data, f"nothing matches {pattern}"
    assert data <= wheel_paths


def test_the_wheel_holds_nothing_else(wheel_paths: set[str]) -> None:
    assert not [path for path in wheel_paths if path.startswith("model/checkpoints/")]
    assert not [path for path in wheel_paths if path.endswith((".pyc", ".tmp"))]
    assert {path.split("/")[0] for path in wheel_paths} == {
        "dragoman.py",
        "export",
        "model",
        "service",
    }


def test_every_target_that_make_is_told_of_does_something_and_is_listed() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    [declared] = re.findall(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE)
    listed = re.findall(r"^([a-z-]+):.*## ", makefile, flags=re.MULTILINE)

    assert sorted(declared.split()) == sorted(listed)


def test_each_part_of_the_model_begins_with_the_part_before(tmp_path: Path) -> None:
    """By what `make` would run for whom nothing is there yet; a space in a path is not tried."""
    shown = subprocess.run(
        ["make", "--dry-run", "model", "DATA=/data", f"VENV={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.replace("\\\n", " ")
    parts = re.findall(r"train model/recipes/(\S+)\.toml --data runs/data --resume(.*)", shown)
    made = re.findall(r"back-translate runs/(\S+)/\S+ .*--output runs/data/(back/\S+)", shown)

    names = [name for name, _ in parts]
    assert names == ["gpu", "gpu-continued", "gpu-r-drop", "gpu-final"]
    starts = [start.split() for _, start in parts]
    before = [["--from", f"runs/{name}/averaged.safetensors"] for name in names[:-1]]
    assert starts == [[], *before]
    corpora = {
        name
        for recipe in ROOT.glob("model/recipes/gpu*.toml")
        for name in re.findall(r'"(back/.+?)"', recipe.read_text(encoding="utf-8"))
    }
    assert {name for _, name in made} == corpora
    assert all(name.startswith(f"back/{run}.") for run, name in made)
