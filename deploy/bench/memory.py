"""Peak memory of each peer, alone in a process that imports nothing of the others."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from deploy.bench.peers import Files, Ids, Setup, open_peer


def peak_bytes(name: str, files: Files, setup: Setup, sources: Sequence[Ids]) -> int:
    """The largest resident set of a fresh process that loads a peer and translates once.

    Raises:
        subprocess.CalledProcessError: if the peer fails there.
    """
    task = {
        "name": name,
        "folder": str(files.folder),
        "setup": asdict(setup),
        "sources": [list(source) for source in sources],
    }
    done = subprocess.run(
        [sys.executable, "-m", "deploy.bench.memory"],
        input=json.dumps(task),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return int(done.stdout)


def high_water_bytes(process: str = "self") -> int:
    """The largest resident set that a process has had, as Linux counts it.

    `getrusage` would include what the parent had when it forked.
    """
    for line in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/{process}/status has no VmHWM")


def _main() -> None:
    task = json.load(sys.stdin)
    peer = open_peer(task["name"], Files(folder=Path(task["folder"])), Setup(**task["setup"]))
    peer.translate(task["sources"])
    peer.close()
    print(high_water_bytes())


if __name__ == "__main__":
    _main()
