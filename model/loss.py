"""Label-smoothed cross entropy, taken together with the output projection that it follows."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from model.embeddings import OutputProjection
from model.masks import padding_mask
from model.transformer import Transformer

CHUNK_LOGITS = 1 << 21
"""Scores held at once, 8 MB: they stay in a CPU's cache. A GPU gets `GPU_FACTOR` times as many."""
GPU_FACTOR = 64


class _ProjectedCrossEntropy(torch.autograd.Function):
    """The loss and all its gradients, chunk by chunk, so that the scores never fill memory.

    The logits of a batch are its largest tensor by far, and autograd would write and read it
    six times. Here a chunk of it is made, turned into its own gradient and used up.
    """

    @staticmethod
    def forward(
        context: Any, x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, smoothing: float
    ) -> Tensor:
        loss = x.new_zeros((), dtype=torch.float32)
        x_grad = torch.empty_like(x)
        weight_grad, bias_grad = torch.zeros_like(weight), torch.zeros_like(bias)
        vocab_size = weight.size(0)
        chunk = max(1, CHUNK_LOGITS * (GPU_FACTOR if x.is_cuda else 1) // vocab_size)
        for rows in torch.arange(x.size(0), device="cpu").split(chunk):
            part = slice(int(rows[0]), int(rows[-1]) + 1)
            logits = nn.functional.linear(x[part], weight, bias).float()  # (row, vocab)
            norm = logits.logsumexp(dim=-1, keepdim=True)  # (row, 1)
            wanted = labels[part, None]  # (row, 1)
            loss += (
                norm.sum()
                - (1 - smoothing) * logits.gather(1, wanted).sum()
                - smoothing / vocab_size * logits.sum()
            )
            grad = logits.sub_(norm).exp_().sub_(smoothing / vocab_size)
            grad.scatter_add_(1, wanted, grad.new_full(wanted.shape, smoothing - 1))
            bias_grad += grad.sum(dim=0)
            x_grad[part] = grad.to(x.dtype) @ weight.to(x.dtype)
            weight_grad += grad.to(x.dtype).t() @ x[part]
        context.save_for_backward(x_grad, weight_grad, bias_grad)
        return loss

    @staticmethod
    def backward(context: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        x_grad, weight_grad, bias_grad = context.saved_tensors
        return scale.to(x_grad.dtype) * x_grad, scale * weight_grad, scale * bias_grad, None, None


def projected_cross_entropy(
    x: Float[Tensor, "batch target d_model"],
    output: OutputProjection,
    labels: Int[Tensor, "batch target"],
    pad_id: int,
    smoothing: float,
) -> Float[Tensor, ""]:
    """Project `x` onto the vocabulary and sum the loss over all labels but padding, in nats.

    The target distribution gives `1 - smoothing` to the label and spreads `smoothing`
    evenly over the whole vocabulary, the label included.

    Source: Szegedy et al. 2016, section 7; Vaswani et al. 2017, section 5.4.
    """
    is_label = padding_mask(labels, pad_id)
    loss: Tensor = _ProjectedCrossEntropy.apply(
        x[is_label], output.weight, output.bias, labels[is_label], smoothing
    )
    return loss


class Objective(nn.Module):
    """What training minimises, as a module, so that processes can share its gradients."""

    def __init__(self, model: Transformer, pad_id: int, smoothing: float) -> None:
        super().__init__()
        self.model = model
        self.pad_id = pad_id
        self.smoothing = smoothing

    def forward(
        self, src_ids: Int[Tensor, "batch source"], tgt_ids: Int[Tensor, "batch target"]
    ) -> Float[Tensor, ""]:
        """The loss of `tgt_ids[:, 1:]`, each predicted from the tokens before it."""
        states = self.model.target_states(src_ids, tgt_ids[:, :-1])
        return projected_cross_entropy(
            states, self.model.output, tgt_ids[:, 1:], self.pad_id, self.smoothing
        )
