import os
import subprocess
import sys
from pathlib import Path

import torch

from model.processes import Processes

TWO = """
import torch
from model.processes import Processes

with Processes() as processes:
    assert processes.count == 2
    assert processes.leads == (processes.rank == 0)
    assert processes.any(processes.rank == 1) is True
    assert processes.any(False) is False
    assert processes.sum(torch.tensor(0.5 + processes.rank)).item() == 2.0
    assert processes.gather({"rank": processes.rank}) == [{"rank": 0}, {"rank": 1}]
    shares = [torch.full((2, 3), 1.0 + processes.rank), torch.tensor([float(processes.rank)])]
    processes.add_up(shares)
    assert shares[0].tolist() == [[3.0] * 3] * 2 and shares[1].tolist() == [1.0]
"""


def test_a_process_alone_is_a_group_of_one_that_leads() -> None:
    with Processes() as processes:
        assert (processes.count, processes.rank, processes.leads) == (1, 0, True)
        assert processes.sum(torch.tensor(1.5)).item() == 1.5
        assert processes.gather("x") == ["x"]
        share = torch.ones(2)
        processes.add_up([share])
        assert share.tolist() == [1.0, 1.0]
        assert [processes.any(True), processes.any(False)] == [True, False]


def test_two_processes_agree(tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(TWO)
    root = Path(__file__).parents[2]

    finished = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", str(script)),
        ],
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )

    assert finished.returncode == 0, finished.stderr


def test_memory_that_was_freed_is_reused_without_page_faults() -> None:
    """A process that trains does not give memory back to the kernel between two updates."""
    finished = subprocess.run(
        [sys.executable, "-c", FREED],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert finished.returncode == 0, finished.stderr


FREED = """
import resource
import torch
from model.processes import Processes

def faults(action):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    action()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def step():
    kept = [torch.ones(size * 2**18) for size in (40, 50, 60, 40)]  # megabytes
    del kept[1], kept[0]
    kept += [torch.ones(size * 2**18) for size in (35, 45)]

before = [faults(step) for _ in range(6)][-1]
with Processes():
    after = [faults(step) for _ in range(6)][-1]
assert after < before / 4, (before, after)
"""
