"""A graph that takes two positions says of both, to the last bit, what two steps say."""

import numpy as np
import onnx
import onnxruntime
import pytest

from deploy.bench.two_positions import two_positions
from export.onnx_model import Array, OnnxModel, session_options
from tests.bundles import sources, tiny_checkpoint, tiny_graphs

CAPACITY = 16
KINDS = [(layer, kind) for layer in range(2) for kind in ("key", "value")]


@pytest.fixture(scope="module")
def graphs() -> tuple[onnx.ModelProto, onnx.ModelProto]:
    return tiny_graphs("int8")


class Rows:
    """Rows with caches of their own, which a graph is run on."""

    def __init__(self, graph: onnx.ModelProto, cross: Array, source_lengths: list[int]) -> None:
        self._session = onnxruntime.InferenceSession(
            graph.SerializeToString(), session_options(), providers=["CPUExecutionProvider"]
        )
        self._wanted = [port.name for port in self._session.get_inputs()]
        shape = (cross.shape[1], cross.shape[2], CAPACITY, cross.shape[4])
        self._feeds = {
            "source_lengths": np.array(source_lengths),
            "candidate_rows": np.zeros(0, dtype=np.int64),
            **{f"cross_{kind}_{n}": cross[place] for place, (n, kind) in enumerate(KINDS)},
            **{f"past_{kind}_{n}": np.zeros(shape, dtype=np.float32) for n, kind in KINDS},
        }

    def step(self, ids: list[int], lengths: list[int]) -> dict[str, Array]:
        """All that the graph says; what it caches is kept."""
        feeds = {
            **self._feeds,
            "ids": np.array(ids),
            "lengths": np.array(lengths, dtype=np.int32),
            "total_length": np.array([max(lengths) + 1], dtype=np.int32),
        }
        names = [port.name for port in self._session.get_outputs()]
        found = self._session.run(names, {name: feeds[name] for name in self._wanted})
        outputs = dict(zip(names, found, strict=True))
        for layer, kind in KINDS:
            self._feeds[f"past_{kind}_{layer}"] = outputs[f"present_{kind}_{layer}"]
        return outputs


@pytest.fixture
def sourced(graphs: tuple[onnx.ModelProto, onnx.ModelProto]) -> tuple[Array, list[int]]:
    """Keys and values of two sources, and their lengths."""
    both = sources(2, seed=3)
    longest = max(map(len, both))
    model = OnnxModel(tiny_checkpoint().model, *graphs)
    cross = [model.encode(source) for source in both]  # (place, 1, heads, source, head_dim)
    padded = [np.pad(each, [(0, 0)] * 3 + [(0, longest - each.shape[3]), (0, 0)]) for each in cross]
    return np.concatenate(padded, axis=1), [len(source) for source in both]


@pytest.mark.parametrize("guesses", [False, True])
def test_both_positions_are_scored_as_in_steps_of_their_own(
    graphs: tuple[onnx.ModelProto, onnx.ModelProto],
    sourced: tuple[Array, list[int]],
    guesses: bool,
) -> None:
    one, two = Rows(graphs[1], *sourced), Rows(two_positions(graphs[1], guesses=guesses), *sourced)
    lengths = [0, 0]
    for first, second in (([2, 2], [270, 280]), ([290, 300], [310, 320])):
        steps = [one.step(first, lengths), one.step(second, [n + 1 for n in lengths])]

        found = two.step([*first, *second], [*lengths, *(n + 1 for n in lengths)])

        for name in ("logits", "log_normalisers", "next_ids", "cross_query"):
            wanted = np.concatenate([step[name] for step in steps])
            np.testing.assert_array_equal(found[name], wanted)
        lengths = [n + 2 for n in lengths]


def test_a_wrong_guess_leaves_nothing_behind(
    graphs: tuple[onnx.ModelProto, onnx.ModelProto], sourced: tuple[Array, list[int]]
) -> None:
    one, two = Rows(graphs[1], *sourced), Rows(two_positions(graphs[1], guesses=True), *sourced)
    one.step([2, 2], [0, 0])
    two.step([2, 2, 399, 398], [0, 0, 1, 1])

    wanted = one.step([270, 280], [1, 1])
    found = two.step([270, 280, 5, 5], [1, 1, 2, 2])

    np.testing.assert_array_equal(found["logits"][:2], wanted["logits"])


def test_every_row_gets_a_guess_that_is_a_token(
    graphs: tuple[onnx.ModelProto, onnx.ModelProto], sourced: tuple[Array, list[int]]
) -> None:
    rows = Rows(two_positions(graphs[1], guesses=True), *sourced)

    guesses = rows.step([2, 2, 270, 280], [0, 0, 1, 1])["guesses"]

    assert guesses.shape == (2,)
    assert ((guesses >= 0) & (guesses < tiny_checkpoint().model.vocab_size)).all()
