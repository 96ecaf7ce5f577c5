"""CTranslate2 at its best: one thread a worker, batches sorted and cut by itself."""

import json
from collections.abc import Sequence

import ctranslate2

from deploy.bench.peers import LENGTH_PENALTY, MAX_TARGET_TOKENS, Files, Ids, Setup


class CTranslate2Peer:
    """All sentences go into one call, which shares batches out among the workers.

    Two workers of one thread, not one of two: its threads sleep at barriers, which is slow in a
    virtual machine.
    """

    def __init__(self, files: Files, setup: Setup) -> None:
        vocabulary = (files.ctranslate2 / "shared_vocabulary.json").read_text(encoding="utf-8")
        self._pieces: list[str] = json.loads(vocabulary)
        self._ids = {piece: number for number, piece in enumerate(self._pieces)}
        self._setup = setup
        self._translator = ctranslate2.Translator(
            str(files.ctranslate2),
            device="cpu",
            compute_type=setup.precision,
            inter_threads=setup.num_workers,
            intra_threads=1,
        )

    def translate(self, sources: Sequence[Ids]) -> list[list[int]]:
        results = self._translator.translate_batch(
            [[self._pieces[number] for number in source] for source in sources],
            max_batch_size=self._setup.batch_size,
            beam_size=self._setup.beam_size,
            length_penalty=LENGTH_PENALTY,
            min_decoding_length=0,
            max_decoding_length=MAX_TARGET_TOKENS,
        )
        return [[self._ids[piece] for piece in result.hypotheses[0]] for result in results]

    def close(self) -> None:
        self._translator.unload_model()


open_peer = CTranslate2Peer
