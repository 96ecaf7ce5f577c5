"""Decoder steps: feed the token of every slot, read what the graph says of the next one."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from service.bundle import Sizes
from service.engine.device import Device, Graph, Tensor, on_host
from service.engine.scores import Candidates, Floats, StepScores
from service.engine.slots import SlotTable

NUM_CANDIDATES = 16
"""Best tokens that the graph finds of a row; the format of bundles has it so."""


class Stepper:
    """Runs decoder steps over one slot table, in its memory.

    Inputs and outputs are bound once for each number of rows, and of rows whose candidates are
    asked for; the caches are bound as input and output at once, so that the graph extends them in
    place.
    """

    def __init__(self, decoder: Graph, slots: SlotTable, sizes: Sizes) -> None:
        self._decoder = decoder
        self._slots = slots
        self._num_layers = sizes.num_decoder_layers
        self._total_length = np.zeros(1, dtype=np.int32)
        self._log_normalisers = np.zeros(slots.max_slots, dtype=np.float32)
        self._best_ids = np.zeros(slots.max_slots, dtype=np.int64)
        num_candidates = min(NUM_CANDIDATES, sizes.vocab_size)
        self._candidate_rows = np.zeros(slots.max_slots, dtype=np.int64)
        self._candidate_ids = np.zeros((slots.max_slots, num_candidates), dtype=np.int64)
        self._candidate_logits = np.zeros((slots.max_slots, num_candidates), dtype=np.float32)
        self._query_shape = (slots.max_slots, sizes.num_heads, 1, sizes.head_dim)
        self._logits_shape = (slots.max_slots, sizes.vocab_size)
        self._bindings: dict[tuple[int, int], Callable[[], None]] = {}
        self._generation = -1
        self._make_large()

    def _make_large(self) -> None:
        """Make what is large, and read in part only."""
        self._logits: Any = np.zeros(self._logits_shape, dtype=np.float32)
        self._cross_query: Any = np.zeros(self._query_shape, dtype=np.float32)

    def step(
        self, candidate_rows: Sequence[int] = (), logit_rows: Sequence[int] = ()
    ) -> StepScores:
        """Feed the next token of every busy slot; the answer is overwritten by the next step.

        Args:
            candidate_rows: slots whose best tokens are asked for.
            logit_rows: slots whose logits will be read, so that it can be done at once.
        """
        slots, asked = self._slots, len(candidate_rows)
        self._total_length[0] = slots.fit_target()
        bound = slots.num_rows, self._num_bound(asked)
        if self._generation != slots.generation:
            self._bindings.clear()
            self._generation = slots.generation
        if bound not in self._bindings:
            self._bindings[bound] = self._bind(*bound)
        if asked:
            self._candidate_rows[:asked] = candidate_rows
        self._feed()
        self._bindings[bound]()
        candidates = Candidates(
            candidate_rows, self._candidate_ids[:asked], self._candidate_logits[:asked]
        )
        return self._scores(slots.num_rows, candidates, logit_rows)

    def _num_bound(self, asked: int) -> int:
        """Rows whose candidates the graph finds, if so many are asked for."""
        return asked

    def _feed(self) -> None:
        """Nothing: the graph reads the slot table itself."""

    def _scores(self, rows: int, candidates: Candidates, _logit_rows: Sequence[int]) -> StepScores:
        return StepScores(
            self._logits[:rows], self._log_normalisers[:rows], self._best_ids[:rows], candidates
        )

    def attention(self, slots: Sequence[int]) -> tuple[Floats, Floats]:
        """What the last layer asked of the source in the last step, and the source's keys.

        Args:
            slots: of one segment.
        Returns:
            (slot, heads, 1, head_dim), and (heads, source capacity, head_dim).
        """
        return self._cross_query[slots], self._slots.cross[-2, slots[0]]

    def _bind(self, rows: int, asked: int) -> Callable[[], None]:
        outputs = {
            "log_normalisers": on_host(self._log_normalisers[:rows]),
            "next_ids": on_host(self._best_ids[:rows]),
            "candidate_ids": on_host(self._candidate_ids[:asked]),
            "candidate_logits": on_host(self._candidate_logits[:asked]),
            **self._large(rows),
        }
        inputs = {"total_length": on_host(self._total_length), **self._fed(rows, asked)}
        for layer in range(self._num_layers):
            for offset, kind in enumerate(("key", "value")):
                place = 2 * layer + offset
                inputs[f"cross_{kind}_{layer}"] = self._place(self._slots.cross, place, rows)
                inputs[f"past_{kind}_{layer}"] = self._place(self._slots.cache, place, rows)
                outputs[f"present_{kind}_{layer}"] = inputs[f"past_{kind}_{layer}"]
        return self._decoder.bind(inputs, outputs)

    def _fed(self, rows: int, asked: int) -> dict[str, Tensor]:
        """What a step is fed with."""
        slots = self._slots
        return {
            "ids": on_host(slots.ids[:rows]),
            "lengths": on_host(slots.lengths[:rows]),
            "source_lengths": on_host(slots.source_lengths[:rows]),
            "candidate_rows": on_host(self._candidate_rows[:asked]),
        }

    def _large(self, rows: int) -> dict[str, Tensor]:
        return {
            "logits": on_host(self._logits[:rows]),
            "cross_query": on_host(self._cross_query[:rows]),
        }

    def _place(self, array: Any, place: int, rows: int) -> Tensor:
        return on_host(array[place, :rows])


class DeviceStepper(Stepper):
    """As `Stepper`, with caches, logits and queries on a device: they are read only if wanted."""

    def __init__(self, decoder: Graph, slots: SlotTable, sizes: Sizes, device: Device) -> None:
        self._device = device
        # What a step is fed with, in one piece: ids, source lengths, candidate rows, lengths.
        self._host_feed = np.zeros((4, slots.max_slots), dtype=np.int64)
        self._device_feed = device.copy_of(self._host_feed)
        self._best_logits = np.zeros(slots.max_slots, dtype=np.float32)
        super().__init__(decoder, slots, sizes)

    def _make_large(self) -> None:
        self._logits = self._device.empty(self._logits_shape, np.float32)
        self._cross_query = self._device.empty(self._query_shape, np.float16)

    def _num_bound(self, asked: int) -> int:
        """Few numbers, so that few bindings are made; never none, which not every kernel takes."""
        return min(1 << max(asked - 1, 0).bit_length(), self._slots.max_slots)

    def _feed(self) -> None:
        slots = self._slots
        self._host_feed[0], self._host_feed[1] = slots.ids, slots.source_lengths
        self._host_feed[2] = self._candidate_rows
        self._host_feed[3].view(np.int32)[: slots.max_slots] = slots.lengths
        self._device.upload(self._host_feed, self._device_feed)

    def _fed(self, rows: int, asked: int) -> dict[str, Tensor]:
        feed = self._device_feed
        lengths = feed.tensor(3, rows=rows)._replace(dtype=np.dtype(np.int32))
        return {
            "ids": feed.tensor(0, rows=rows),
            "source_lengths": feed.tensor(1, rows=rows),
            "candidate_rows": feed.tensor(2, rows=asked),
            "lengths": lengths,
        }

    def _large(self, rows: int) -> dict[str, Tensor]:
        return {
            "logits": self._logits.tensor(rows=rows),
            "cross_query": self._cross_query.tensor(rows=rows),
            "best_logits": on_host(self._best_logits[:rows]),
        }

    def _place(self, array: Any, place: int, rows: int) -> Tensor:
        tensor: Tensor = array.tensor(place, rows=rows)
        return tensor

    def _scores(self, rows: int, candidates: Candidates, logit_rows: Sequence[int]) -> StepScores:
        return StepScores(
            DeviceRows(self._device, self._logits, logit_rows),
            self._log_normalisers[:rows],
            self._best_ids[:rows],
            candidates,
            self._best_logits[:rows],
        )

    def attention(self, slots: Sequence[int]) -> tuple[Floats, Floats]:
        """As that of `Stepper`."""
        queries = self._device.read(self._cross_query, [(slot,) for slot in slots])
        cross = self._slots.cross
        [keys] = self._device.read(cross, [(cross.shape[0] - 2, slots[0])])
        return queries.astype(np.float32), keys.astype(np.float32)


class DeviceRows:
    """Rows of an array on a device: those that are wanted now, others when they are asked for."""

    def __init__(self, device: Device, array: Any, wanted: Sequence[int]) -> None:
        self._device, self._array = device, array
        self._rows: dict[int, Floats] = {}
        if wanted:
            self._read(wanted)

    def _read(self, rows: Sequence[int]) -> None:
        found = self._device.read(self._array, [(row,) for row in rows])
        self._rows.update(zip(rows, found, strict=True))

    def __getitem__(self, row: int) -> Floats:
        if row not in self._rows:
            self._read([row])
        return self._rows[row]
