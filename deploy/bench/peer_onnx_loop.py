"""onnxruntime driven from Python as Hugging Face's optimum does it.

Exported graphs with growing caches, one padded batch from its first token to the last `eos` in it,
sentences that ended filled up with padding. Greedy only.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from deploy.bench.batches import in_batches
from deploy.bench.peers import MAX_TARGET_TOKENS, Files, Ids, Setup
from service.bundle import load_bundle


class OnnxLoopPeer:
    """One session a graph, one thread a run; the runtime lets several batches run at once."""

    def __init__(self, files: Files, setup: Setup) -> None:
        self._setup = setup
        manifest = load_bundle(files.bundle).manifest
        self._special, self._sizes = manifest.special_ids, manifest.model
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._encoder, self._decoder = (
            onnxruntime.InferenceSession(
                files.plain_graphs / f"{part}.{setup.precision}.onnx",
                options,
                providers=["CPUExecutionProvider"],
            )
            for part in ("encoder", "decoder")
        )
        self._executor = ThreadPoolExecutor(setup.num_workers)

    def translate(self, sources: Sequence[Ids]) -> list[list[int]]:
        return in_batches(sources, self._setup.batch_size, self._executor, self._translate)

    def _translate(self, batch: list[Ids]) -> list[list[int]]:
        special, longest = self._special, max(map(len, batch))
        src_ids = np.array([[*s, *[special.pad_id] * (longest - len(s))] for s in batch])
        src_mask = src_ids != special.pad_id
        cross = self._encoder.run(None, {"src_ids": src_ids, "src_mask": src_mask})
        feeds = self._first_feeds(cross, src_mask)
        token_ids = np.full(len(batch), special.bos_id)
        has_ended = np.zeros(len(batch), dtype=bool)
        chosen: list[npt.NDArray[np.int64]] = []
        while not has_ended.all() and len(chosen) < MAX_TARGET_TOKENS:
            logits, *present = self._decoder.run(None, {"token_ids": token_ids, **feeds})
            token_ids = np.where(has_ended, special.eos_id, logits.argmax(axis=1))
            has_ended |= token_ids == special.eos_id
            chosen.append(token_ids)
            for place, value in enumerate(present):
                feeds[f"self_{('key', 'value')[place % 2]}_{place // 2}"] = value
        targets = np.stack(chosen, axis=1).tolist()  # (sentence, target)
        return [_until(target, special.eos_id) for target in targets]

    def _first_feeds(self, cross: Sequence[Any], src_mask: Any) -> dict[str, Any]:
        rows, heads, _, head_dim = cross[0].shape
        empty = np.zeros((rows, heads, 0, head_dim), dtype=np.float32)
        feeds = {"src_mask": src_mask}
        for layer in range(self._sizes.num_decoder_layers):
            feeds |= {f"self_key_{layer}": empty, f"self_value_{layer}": empty}
            feeds[f"cross_key_{layer}"] = cross[2 * layer]
            feeds[f"cross_value_{layer}"] = cross[2 * layer + 1]
        return feeds

    def close(self) -> None:
        self._executor.shutdown()


def _until(tokens: list[int], eos_id: int) -> list[int]:
    return tokens[: tokens.index(eos_id)] if eos_id in tokens else tokens


open_peer = OnnxLoopPeer
