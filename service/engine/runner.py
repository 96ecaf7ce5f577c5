"""The two graphs: the only user of onnxruntime."""

import os
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

# Since 1.29 it reports every session to its vendor, unless this is set before it is imported:
# `disable_telemetry_events` comes too late. It would also keep an identifier on the disk.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime

from service.bundle import Bundle, Sizes
from service.engine.scores import Candidates, Floats, StepScores
from service.engine.slots import SlotTable
from service.errors import BundleError

PROVIDER = "CPUExecutionProvider"
NUM_CANDIDATES = 16
"""Best tokens that the graph finds of a row; the format of bundles has it so."""


def runtime_facts() -> tuple[str, list[str]]:
    """Version of onnxruntime, and the providers it was built with."""
    return onnxruntime.__version__, onnxruntime.get_available_providers()


class Runner:
    """Runs the encoder and the decoder step of one bundle.

    Attributes:
        sizes: the model's shape; bos_id, eos_id: of the bundle.
    """

    def __init__(
        self,
        sizes: Sizes,
        encoder: onnxruntime.InferenceSession,
        decoder: onnxruntime.InferenceSession,
        *,
        bos_id: int,
        eos_id: int,
    ) -> None:
        self.sizes = sizes
        self.bos_id = bos_id
        self.eos_id = eos_id
        self._encoder = encoder
        self._decoder = decoder

    @classmethod
    def load(cls, bundle: Bundle, precision: str) -> Self:
        """Open the graphs of one precision; a run of one takes one core.

        Raises:
            BundleError: naming the file, if onnxruntime cannot load a graph.
        """
        graphs = bundle.manifest.graphs[precision]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        sessions = []
        for name in (graphs.encoder, graphs.decoder):
            path = bundle.path / name
            try:
                sessions.append(onnxruntime.InferenceSession(path, options, providers=[PROVIDER]))
            # onnxruntime has no error class of its own: its exceptions derive from Exception.
            except Exception as error:
                raise BundleError(f"{path} cannot be loaded: {error}") from error
        special = bundle.manifest.special_ids
        return cls(bundle.manifest.model, *sessions, bos_id=special.bos_id, eos_id=special.eos_id)

    @property
    def provider(self) -> str:
        """What runs the decoder, in onnxruntime's words."""
        return str(self._decoder.get_providers()[0])

    def encode(self, sources: Sequence[Sequence[int]]) -> Floats:
        """Keys and values of all `sources`: (place, segment, heads, source, head_dim).

        Tokens are packed one after the other; only attention sees padding.
        """
        lengths = np.array([len(source) for source in sources], dtype=np.int64)
        longest = int(lengths.max())
        places = np.arange(longest, dtype=np.int64)
        is_token = places < lengths[:, None]  # (segment, source)
        starts = np.cumsum(lengths) - lengths  # (segment)
        cross: Floats = self._encoder.run(
            ["cross"],
            {
                "ids": np.concatenate([np.array(source, dtype=np.int64) for source in sources]),
                "positions": np.nonzero(is_token)[1],
                "padded_index": np.where(is_token, starts[:, None] + places, 0),
                "packed_index": np.flatnonzero(is_token),
                "lengths": lengths,
            },
        )[0]
        return cross

    def stepper(self, slots: SlotTable) -> "Stepper":
        """Decoder steps over `slots`."""
        return Stepper(self._decoder, slots, self.sizes)


class Stepper:
    """Runs decoder steps over one slot table, in its memory.

    Inputs and outputs are bound once for each number of rows, and of rows whose candidates are
    asked for; the caches are bound as input and output at once, so that the graph extends them in
    place.

    Attributes:
        cross_query: (slot, heads, 1, head_dim), what the last layer asked of the source in the
            last step.
    """

    def __init__(
        self, decoder: onnxruntime.InferenceSession, slots: SlotTable, sizes: Sizes
    ) -> None:
        self._decoder = decoder
        self._slots = slots
        self._num_layers = sizes.num_decoder_layers
        self._total_length = np.zeros(1, dtype=np.int32)
        self._logits = np.zeros((slots.max_slots, sizes.vocab_size), dtype=np.float32)
        self._log_normalisers = np.zeros(slots.max_slots, dtype=np.float32)
        self._best_ids = np.zeros(slots.max_slots, dtype=np.int64)
        num_candidates = min(NUM_CANDIDATES, sizes.vocab_size)
        self._candidate_rows = np.zeros(slots.max_slots, dtype=np.int64)
        self._candidate_ids = np.zeros((slots.max_slots, num_candidates), dtype=np.int64)
        self._candidate_logits = np.zeros((slots.max_slots, num_candidates), dtype=np.float32)
        shape = (slots.max_slots, sizes.num_heads, 1, sizes.head_dim)
        self.cross_query = np.zeros(shape, dtype=np.float32)
        self._bindings: dict[tuple[int, int], Any] = {}
        self._generation = -1

    def step(self, candidate_rows: Sequence[int] = ()) -> StepScores:
        """Feed the next token of every busy slot; the answer is overwritten by the next step.

        Args:
            candidate_rows: slots whose best tokens are asked for.
        """
        slots, rows, asked = self._slots, self._slots.num_busy, len(candidate_rows)
        slots.fit_target()
        if self._generation != slots.generation:
            self._bindings.clear()
            self._generation = slots.generation
        if (rows, asked) not in self._bindings:
            self._bindings[rows, asked] = self._bind(rows, asked)
        self._candidate_rows[:asked] = candidate_rows
        self._total_length[0] = slots.lengths[:rows].max() + 1
        self._decoder.run_with_iobinding(self._bindings[rows, asked])
        return StepScores(
            self._logits[:rows],
            self._log_normalisers[:rows],
            self._best_ids[:rows],
            Candidates(candidate_rows, self._candidate_ids[:asked], self._candidate_logits[:asked]),
        )

    def _bind(self, rows: int, asked: int) -> Any:
        slots = self._slots
        binding = self._decoder.io_binding()
        inputs: dict[str, npt.NDArray[Any]] = {
            "ids": slots.ids[:rows],
            "lengths": slots.lengths[:rows],
            "total_length": self._total_length,
            "source_lengths": slots.source_lengths[:rows],
            "candidate_rows": self._candidate_rows[:asked],
        }
        outputs: dict[str, npt.NDArray[Any]] = {
            "logits": self._logits[:rows],
            "log_normalisers": self._log_normalisers[:rows],
            "next_ids": self._best_ids[:rows],
            "candidate_ids": self._candidate_ids[:asked],
            "candidate_logits": self._candidate_logits[:asked],
            "cross_query": self.cross_query[:rows],
        }
        for layer in range(self._num_layers):
            for offset, kind in enumerate(("key", "value")):
                place = 2 * layer + offset
                inputs[f"cross_{kind}_{layer}"] = slots.cross[place, :rows]
                inputs[f"past_{kind}_{layer}"] = slots.cache[place, :rows]
                outputs[f"present_{kind}_{layer}"] = slots.cache[place, :rows]
        for name, array in inputs.items():
            binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        for name, array in outputs.items():
            binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        return binding
