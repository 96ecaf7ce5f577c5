"""PyTorch: the reference search, a batch at a time; also the judge of what is right."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch

from deploy.bench.batches import in_batches
from deploy.bench.peers import LENGTH_PENALTY, MAX_TARGET_TOKENS, Files, Ids, Setup
from model import checkpoint
from model.search import LengthPenalty, beam_search, greedy_search


class PyTorchPeer:
    """Greedy in padded batches; with beams one sentence at a time, as the reference does."""

    def __init__(self, files: Files, setup: Setup) -> None:
        torch.set_num_threads(1)
        loaded = checkpoint.load(files.checkpoint)
        self._model, self._tokenizer, self._setup = loaded.build(), loaded.tokenizer, setup
        self._executor = ThreadPoolExecutor(setup.num_workers)

    def translate(self, sources: Sequence[Ids]) -> list[list[int]]:
        return in_batches(sources, self._setup.batch_size, self._executor, self._translate)

    def _translate(self, batch: list[Ids]) -> list[list[int]]:
        if self._setup.beam_size == 1:
            found = greedy_search(self._model, self._tokenizer, batch, MAX_TARGET_TOKENS)
            return [hypothesis.token_ids for hypothesis in found]
        return [
            beam_search(
                self._model,
                self._tokenizer,
                source,
                beam_size=self._setup.beam_size,
                length_penalty=LengthPenalty(LENGTH_PENALTY),
                max_tokens=MAX_TARGET_TOKENS,
            )[0].token_ids
            for source in batch
        ]

    def close(self) -> None:
        self._executor.shutdown()


open_peer = PyTorchPeer
