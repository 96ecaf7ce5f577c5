"""What a second position in a decoder step is worth: `python -m deploy.bench.lookahead`.

A step that scores a guess of the next token beside its token saves a step wherever the guess is
right, and takes longer always. Here is how much longer, on one thread, and what is left of the
gain by the share of right guesses that was measured (`train_guessing.py`).
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime

from deploy.bench.operators import CAPACITY, PAST, SOURCE, VALUES
from deploy.bench.two_positions import two_positions

ROOT = Path(__file__).parents[2]
ROWS = (1, 8, 32)
ROUNDS, STEPS, WARM_UP = 40, 20, 20
TOKENS_PER_STEP = 1.51
"""Of the bundled model (0.6.0) with a head that had learnt from 700,000 labels: 1.52 and 1.55 on 64
sentences of tatoeba_dev, en-de and de-en, 1.47 and 1.51 on flores_dev."""

Run = Callable[[], None]


class Price(NamedTuple):
    """Seconds of a decoder step at one number of rows: medians over rounds.

    Attributes:
        one: of one position; two: of two; guessing: of two, and of guessing what comes next.
    """

    one: float
    two: float
    guessing: float

    @property
    def break_even(self) -> float:
        """The tokens a step must choose to be worth its time."""
        return self.guessing / self.one

    def worth(self, tokens_per_step: float) -> float:
        """How many times as many tokens a second are decoded."""
        return tokens_per_step / self.break_even


def worth(
    bundle: Path, rows: Sequence[int] = ROWS, tokens_per_step: float = TOKENS_PER_STEP
) -> dict[int, float]:
    """How many times as fast the decoder of a bundle gets, by the number of rows."""
    return {count: price.worth(tokens_per_step) for count, price in prices(bundle, rows).items()}


def prices(bundle: Path, rows: Sequence[int] = ROWS) -> dict[int, Price]:
    """Time the steps of the int8 decoder of a bundle in turns."""
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    decoder = onnx.load(bundle / manifest["graphs"]["int8"]["decoder"])
    sessions = [
        _open(graph)
        for graph in (
            decoder,
            two_positions(decoder, guesses=False),
            two_positions(decoder, guesses=True),
        )
    ]
    return {
        count: Price(*_in_turns([bind(session, manifest["model"], count) for session in sessions]))
        for count in rows
    }


def _open(graph: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_mem_pattern = False  # as the service has it
    return onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def bind(session: onnxruntime.InferenceSession, sizes: Mapping[str, int], rows: int) -> Run:
    """A step over memory of its own; caches are extended in place."""
    axes = {"rows": rows, "fed": 2 * rows, "source": SOURCE, "capacity": CAPACITY, "asked": 0}
    binding, arrays = session.io_binding(), {}
    for ports, bind_port in (
        (session.get_inputs(), binding.bind_input),
        (session.get_outputs(), binding.bind_output),
    ):
        for port in ports:
            cache = port.name.replace("present", "past").replace("middle", "past")
            if cache not in arrays:
                dtype = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}.get(port.type)
                shape = [axes.get(axis, axis) for axis in port.shape]
                arrays[cache] = np.full(shape, VALUES.get(cache, 0), dtype=dtype or np.float32)
            array = arrays[cache]
            bind_port(port.name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    lengths = arrays["lengths"]
    lengths[rows:], arrays["total_length"][0] = PAST + 1, PAST + len(lengths) // rows

    def run() -> None:
        assert arrays, "the memory is kept"
        session.run_with_iobinding(binding)

    return run


def _in_turns(runs: Sequence[Run]) -> list[float]:
    """The median seconds of each; every other round goes backwards."""
    seconds: list[list[float]] = [[] for _ in runs]
    for number in range(ROUNDS):
        for index in range(len(runs))[:: -1 if number % 2 else 1]:
            for _ in range(WARM_UP):
                runs[index]()
            started = time.perf_counter()
            for _ in range(STEPS):
                runs[index]()
            seconds[index].append((time.perf_counter() - started) / STEPS)
    return [median(taken) for taken in seconds]


def main(argv: Sequence[str]) -> None:
    """Print a line for each number of rows."""
    parser = argparse.ArgumentParser(prog="deploy.bench.lookahead", description=__doc__)
    parser.add_argument(
        "bundle", type=Path, nargs="?", default=ROOT / "service" / "bundles" / "default"
    )
    parser.add_argument("--tokens-per-step", type=float, default=TOKENS_PER_STEP)
    arguments = parser.parse_args(argv)
    for rows, price in prices(arguments.bundle).items():
        print(
            f"{rows:3} row(s): a step {1e6 * price.one:6.0f} us, of two positions "
            f"{price.two / price.one:.2f} times as long, with guesses {price.break_even:.2f}; "
            f"worth {price.worth(arguments.tokens_per_step):.2f} "
            f"at {arguments.tokens_per_step} tokens a step"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
