"""Run the two graphs plainly, one segment at a time: enough to check them, too slow to serve."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import, or it reports to its vendor
import onnxruntime

from export.errors import SignatureMismatch
from export.signature import Signature, decoder_signature, encoder_signature
from model.config import ModelConfig

Array = npt.NDArray[np.float32]


def session_options() -> onnxruntime.SessionOptions:
    """How graphs are run here: one thread, warnings not shown."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return options


class _Session:
    """A graph, checked against its signature.

    Attributes:
        observed: what each output behind those of the signature held, run after run.
    """

    def __init__(self, model: onnx.ModelProto, signature: Signature) -> None:
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), session_options(), providers=["CPUExecutionProvider"]
        )
        outputs = self._session.get_outputs()
        for ports, found in (
            (signature.inputs, self._session.get_inputs()),
            (signature.outputs, outputs[: len(signature.outputs)]),
        ):
            wanted = [(port.name, _onnx_dtype(port.dtype), list(port.axes)) for port in ports]
            actual = [(value.name, value.type, list(value.shape)) for value in found]
            if wanted != actual:
                name = model.graph.name
                raise SignatureMismatch(f"{name}: wanted {wanted}, the graph has {actual}")
        self.observed: dict[str, list[Array]] = {
            output.name: [] for output in outputs[len(signature.outputs) :]
        }

    def run(self, names: Sequence[str], feeds: Mapping[str, Any]) -> list[Array]:
        """The outputs of these names; others are kept if they are observed."""
        found: list[Array] = self._session.run([*names, *self.observed], feeds)
        for seen, value in zip(self.observed.values(), found[len(names) :], strict=True):
            seen.append(value)
        return found[: len(names)]


def _onnx_dtype(dtype: str) -> str:
    return f"tensor({'float' if dtype == 'float32' else dtype})"


class OnnxModel:
    """An encoder and a decoder-step graph, loaded and checked against their signatures.

    Attributes:
        observed: of the encoder and of the decoder, what their further outputs held in all
            runs so far, by name.
    Raises:
        SignatureMismatch: if a port has another name, dtype or axes.
    """

    def __init__(
        self,
        config: ModelConfig,
        encoder: onnx.ModelProto,
        decoder: onnx.ModelProto,
        precision: str = "float32",
    ) -> None:
        self.config = config
        self._encoder = _Session(encoder, encoder_signature(config, precision))
        self._decoder = _Session(decoder, decoder_signature(config, precision))
        self.observed = self._encoder.observed, self._decoder.observed

    def encode(self, source_ids: Sequence[int]) -> Array:
        """Keys and values of the source: (2 * layers, 1, heads, source, head_dim)."""
        places = np.arange(len(source_ids), dtype=np.int64)
        [cross] = self._encoder.run(
            ["cross"],
            {
                "ids": np.array(source_ids, dtype=np.int64),
                "positions": places,
                "padded_index": places[None],
                "packed_index": places,
                "lengths": np.array([len(source_ids)], dtype=np.int64),
            },
        )
        return cross

    def logits(self, source_ids: Sequence[int], target_ids: Sequence[int]) -> Array:
        """Scores of the token after each of `target_ids`, which begin with bos: (target, vocab)."""
        cross = self.encode(source_ids)
        heads, head_dim = self.config.num_heads, self.config.head_dim
        feeds: dict[str, Any] = {
            "source_lengths": np.array([len(source_ids)], dtype=np.int64),
            "candidate_rows": np.zeros(0, dtype=np.int64),
        }
        empty = np.zeros((1, heads, len(target_ids), head_dim), dtype=cross.dtype)
        names = []
        for layer in range(self.config.num_decoder_layers):
            for place, kind in enumerate(("key", "value")):
                feeds[f"cross_{kind}_{layer}"] = cross[2 * layer + place]
                feeds[f"past_{kind}_{layer}"] = empty
                names.append(f"{kind}_{layer}")
        rows = []
        for position, token_id in enumerate(target_ids):
            feeds["ids"] = np.array([token_id], dtype=np.int64)
            feeds["lengths"] = np.array([position], dtype=np.int32)
            feeds["total_length"] = np.array([position + 1], dtype=np.int32)
            logits, *present = self._decoder.run(
                ["logits", *(f"present_{name}" for name in names)], feeds
            )
            rows.append(logits[0])
            feeds |= {f"past_{name}": value for name, value in zip(names, present, strict=True)}
        return np.stack(rows)
