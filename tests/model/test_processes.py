import os
import subprocess
import sys
from pathlib import Path

from model.processes import Processes

TWO = """
from model.processes import Processes

with Processes() as processes:
    assert processes.count == 2
    assert processes.leads == (processes.rank == 0)
    assert processes.any(processes.rank == 1) is True
    assert processes.any(False) is False
    assert processes.sum(0.5 + processes.rank) == 2.0
    assert processes.gather({"rank": processes.rank}) == [{"rank": 0}, {"rank": 1}]
"""


def test_a_process_alone_is_a_group_of_one_that_leads() -> None:
    with Processes() as processes:
        assert (processes.count, processes.rank, processes.leads) == (1, 0, True)
        assert processes.sum(1.5) == 1.5
        assert processes.gather("x") == ["x"]
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
