"""The gate: graphs must do what PyTorch does, or nothing is exported.

Names first (`OnnxModel` checks them when it loads), then shapes, then values.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from export.errors import ShapeMismatch, ValueMismatch
from export.onnx_model import OnnxModel
from model.masks import padding_mask
from model.search import greedy_search
from model.tokenizer import Tokenizer
from model.transformer import Transformer

Array = npt.NDArray[np.float32]

# Two orders of magnitude above what float32 rounding gave on a d_model 256 model, 1e-5, and
# far below the differences that a wrong weight or mask makes, which are above 0.1.
MAX_FLOAT32_DIFFERENCE = 1e-3
# Share of positions, along PyTorch's own translations, where the same token is preferred.
MIN_AGREEMENT = {"int8": 0.9, "float16": 0.98}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A sentence and PyTorch's greedy translation of it, with the scores along the way.

    Attributes:
        source_ids: tag ... eos; target_ids: the translation, eos included.
        logits: (target, vocab), PyTorch's.
    """

    text: str
    source: str
    target: str
    source_ids: tuple[int, ...]
    target_ids: tuple[int, ...]
    logits: Array

    @property
    def fed_ids(self) -> list[int]:
        """What a decoder is fed to make it score `target_ids`."""
        return [self.bos_id, *self.target_ids[:-1]]

    bos_id: int


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far the graphs of one precision are from PyTorch.

    Attributes:
        max_abs_difference: of any logit; mean_abs_difference: over all logits.
        token_agreement: share of positions where both prefer the same token.
        identical_translations: share of sentences where they do at every position.
    """

    sentences: int
    tokens: int
    max_abs_difference: float
    mean_abs_difference: float
    token_agreement: float
    identical_translations: float


@torch.inference_mode()
def make_sample(
    model: Transformer, tokenizer: Tokenizer, text: str, source: str, target: str
) -> Sample:
    """Translate `text` greedily with PyTorch and keep the scores of every step."""
    source_ids = [tokenizer.tag_id(target), *tokenizer.encode(text), tokenizer.eos_id]
    limit = 2 * len(source_ids) + 16
    [hypothesis] = greedy_search(model, tokenizer, [source_ids], limit)
    target_ids = [*hypothesis.token_ids, *([tokenizer.eos_id] if hypothesis.is_complete else [])]
    src_ids = torch.tensor([source_ids])
    src_mask = padding_mask(src_ids, tokenizer.pad_id)
    fed = torch.tensor([[tokenizer.bos_id, *target_ids[:-1]]])
    logits = model.decode(fed, model.encode(src_ids, src_mask), src_mask)[0]
    return Sample(
        text=text,
        source=source,
        target=target,
        source_ids=tuple(source_ids),
        target_ids=tuple(target_ids),
        logits=logits.numpy(),
        bos_id=tokenizer.bos_id,
    )


def onnx_logits(onnx_model: OnnxModel, sample: Sample) -> Array:
    """Scores of a graph along a sample's translation: (target, vocab).

    Raises:
        ShapeMismatch: if they have another shape than PyTorch's.
    """
    logits = onnx_model.logits(sample.source_ids, sample.fed_ids)
    if logits.shape != sample.logits.shape:
        raise ShapeMismatch(f"logits are {logits.shape}; PyTorch's are {sample.logits.shape}")
    return logits


def measure(samples: Sequence[Sample], found: Sequence[Array]) -> Parity:
    """Compare a graph's scores with PyTorch's on all samples."""
    differences = np.concatenate(
        [np.abs(logits - sample.logits) for sample, logits in zip(samples, found, strict=True)]
    )  # (target of all samples, vocab)
    agreements = [
        logits.argmax(axis=1) == sample.logits.argmax(axis=1)
        for sample, logits in zip(samples, found, strict=True)
    ]
    return Parity(
        sentences=len(samples),
        tokens=sum(len(agreement) for agreement in agreements),
        max_abs_difference=float(differences.max()),
        mean_abs_difference=float(differences.mean()),
        token_agreement=float(np.concatenate(agreements).mean()),
        identical_translations=float(np.mean([agreement.all() for agreement in agreements])),
    )


def require_parity(precision: str, parity: Parity) -> None:
    """Let the export go on only if the graphs are close enough.

    Raises:
        ValueMismatch: with the figure and its limit.
    """
    if not np.isfinite(parity.max_abs_difference):
        raise ValueMismatch(f"{precision} logits are not all finite")
    if precision == "float32":
        if parity.max_abs_difference > MAX_FLOAT32_DIFFERENCE:
            raise ValueMismatch(
                f"float32 logits differ from PyTorch's by up to {parity.max_abs_difference:.2e}; "
                f"the limit is {MAX_FLOAT32_DIFFERENCE:.0e}"
            )
        if parity.token_agreement < 1.0:
            raise ValueMismatch(
                f"float32 chooses other tokens than PyTorch: {parity.token_agreement:.2%} agree"
            )
    elif parity.token_agreement < MIN_AGREEMENT[precision]:
        raise ValueMismatch(
            f"{precision} prefers PyTorch's token at {parity.token_agreement:.2%} of positions; "
            f"the limit is {MIN_AGREEMENT[precision]:.0%}"
        )


def margin(logits: Array) -> float:
    """The smallest lead of a best token over the second, along a translation."""
    best = np.sort(logits, axis=1)[:, -2:]
    return float((best[:, 1] - best[:, 0]).min())
