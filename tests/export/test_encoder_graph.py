"""The encoder graph: packed tokens in, padding without influence."""

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from export.__main__ import PRECISIONS
from tests.bundles import sources, tiny_graphs

Floats = npt.NDArray[np.float32]


def encode(session: onnxruntime.InferenceSession, batch: list[tuple[int, ...]]) -> Floats:
    """Encode a batch; every place of padding reads the last packed token."""
    longest, tokens = max(map(len, batch)), sum(map(len, batch))
    padded = np.full((len(batch), longest), tokens - 1, dtype=np.int64)
    packed: list[int] = []
    positions: list[int] = []
    for row, source in enumerate(batch):
        padded[row, : len(source)] = np.arange(len(packed), len(packed) + len(source))
        packed += [row * longest + place for place in range(len(source))]
        positions += range(len(source))
    [cross] = session.run(
        ["cross"],
        {
            "ids": np.concatenate([np.array(source, dtype=np.int64) for source in batch]),
            "positions": np.array(positions, dtype=np.int64),
            "padded_index": padded,
            "packed_index": np.array(packed, dtype=np.int64),
            "lengths": np.array([len(source) for source in batch], dtype=np.int64),
        },
    )
    return cross


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_segment_in_a_padded_batch_is_encoded_as_alone(precision: str) -> None:
    encoder, _ = tiny_graphs(precision)
    session = onnxruntime.InferenceSession(encoder.SerializeToString())
    batch = [*sources(7), (5, *range(280, 360), 3)]

    together = encode(session, batch)

    for row, source in enumerate(batch):
        alone = encode(session, [source])
        np.testing.assert_array_equal(together[:, row, :, : len(source)], alone[:, 0])
