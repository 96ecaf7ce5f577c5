"""Label-smoothed cross entropy, taken together with the output projection that it follows."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from model.embeddings import OutputProjection
from model.masks import padding_mask
from model.transformer import Transformer

CHUNK_LOGITS = 1 << 21
"""Scores held at once, 8 MB: they stay in a CPU's cache. A GPU gets `GPU_FACTOR` times as many."""
GPU_FACTOR = 64


class Goal(NamedTuple):
    """What the loss asks for.

    Attributes:
        smoothing: share of probability spread over the vocabulary.
        consistency: how much it costs that two passes over a batch, each with a dropout of its
            own, disagree: R-Drop's alpha. 0 makes one pass.
    """

    smoothing: float = 0.0
    consistency: float = 0.0


class _ProjectedCrossEntropy(torch.autograd.Function):
    """The loss and all its gradients, chunk by chunk, so that the scores never fill memory.

    The logits of a batch are its largest tensor by far, and autograd would write and read it
    six times. Here a chunk of it is made, turned into its own gradient and used up.
    """

    @staticmethod
    def forward(
        context: Any, x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, goal: Goal
    ) -> Tensor:
        """`x` is (pass, label, d_model), with one pass or two."""
        loss = x.new_zeros((), dtype=torch.float32)
        x_grad = torch.empty_like(x)
        weight_grad, bias_grad = torch.zeros_like(weight), torch.zeros_like(bias)
        num_logits = CHUNK_LOGITS * (GPU_FACTOR if x.is_cuda else 1)
        chunk = max(1, num_logits // (x.size(0) * weight.size(0)))
        for rows in torch.arange(x.size(1), device="cpu").split(chunk):
            part = slice(int(rows[0]), int(rows[-1]) + 1)
            logits = nn.functional.linear(x[:, part], weight, bias).float()  # (pass, row, vocab)
            part_loss, grad = _learn(logits, labels[part], goal)
            loss += part_loss
            bias_grad += grad.sum(dim=(0, 1))
            grad = grad.to(x.dtype)
            x_grad[:, part] = grad @ weight.to(x.dtype)
            weight_grad += grad.flatten(0, 1).t() @ x[:, part].flatten(0, 1)
        context.save_for_backward(x_grad, weight_grad, bias_grad)
        return loss

    @staticmethod
    def backward(context: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        x_grad, weight_grad, bias_grad = context.saved_tensors
        return scale.to(x_grad.dtype) * x_grad, scale * weight_grad, scale * bias_grad, None, None


def _learn(
    logits: Float[Tensor, "pass row vocab"], labels: Int[Tensor, " row"], goal: Goal
) -> tuple[Float[Tensor, ""], Float[Tensor, "pass row vocab"]]:
    """The loss of some labels, the mean of its passes, and its gradient, in place of `logits`."""
    passes, _, vocab_size = logits.shape
    wanted = labels.expand(passes, -1)[..., None]  # (pass, row, 1)
    log_probs = logits.sub_(logits.logsumexp(dim=-1, keepdim=True))
    loss = -(1 - goal.smoothing) * log_probs.gather(2, wanted).sum()
    loss -= goal.smoothing / vocab_size * log_probs.sum()
    disagreement = _disagree(log_probs) if passes == 2 else None
    grad = log_probs.exp_().sub_(goal.smoothing / vocab_size)
    grad.scatter_add_(2, wanted, grad.new_full(wanted.shape, goal.smoothing - 1))
    if disagreement is not None:
        divergence, divergence_grad = disagreement
        loss += goal.consistency / 2 * divergence
        grad.add_(divergence_grad, alpha=goal.consistency / 2)
    return loss / passes, grad.div_(passes)


def _disagree(
    log_probs: Float[Tensor, "pass row vocab"],
) -> tuple[Float[Tensor, ""], Float[Tensor, "pass row vocab"]]:
    """The sum of KL(first || second) and KL(second || first), and its gradient by the logits."""
    probs = log_probs.exp()
    gap = log_probs[0] - log_probs[1]  # (row, vocab)
    there = (probs[0] * gap).sum(dim=-1, keepdim=True)  # (row, 1)
    back = -(probs[1] * gap).sum(dim=-1, keepdim=True)
    moved = probs[0] - probs[1]
    grad = torch.stack((gap.sub(there).mul_(probs[0]).add_(moved), gap.add(back).mul_(probs[1])))
    grad[1].add_(moved).neg_()
    return (there + back).sum(), grad


def projected_cross_entropy(
    x: Float[Tensor, "passes_batch target d_model"],
    output: OutputProjection,
    labels: Int[Tensor, "batch target"],
    pad_id: int,
    goal: Goal,
) -> Float[Tensor, ""]:
    """Project `x` onto the vocabulary and sum the loss over all labels but padding, in nats.

    The target distribution gives `1 - smoothing` to the label and spreads `smoothing`
    evenly over the whole vocabulary, the label included.

    Args:
        x: with `goal.consistency`, the batch twice, the second pass behind the first.

    Source: Szegedy et al. 2016, section 7; Vaswani et al. 2017, section 5.4; Wu et al. 2021,
        "R-Drop: Regularized Dropout for Neural Networks", equations 2 and 3, halved.
    """
    passes = 2 if goal.consistency else 1
    is_label = padding_mask(labels, pad_id)
    by_pass = x.unflatten(0, (passes, -1))[:, is_label]  # (pass, label, d_model)
    loss: Tensor = _ProjectedCrossEntropy.apply(
        by_pass, output.weight, output.bias, labels[is_label], goal
    )
    return loss


class Objective(nn.Module):
    """What training minimises, as a module, so that processes can share its gradients."""

    def __init__(self, model: Transformer, pad_id: int, goal: Goal) -> None:
        super().__init__()
        self.model = model
        self.pad_id = pad_id
        self.goal = goal

    def forward(
        self, src_ids: Int[Tensor, "batch source"], tgt_ids: Int[Tensor, "batch target"]
    ) -> Float[Tensor, ""]:
        """The loss of `tgt_ids[:, 1:]`, each predicted from the tokens before it."""
        passes = 2 if self.goal.consistency else 1
        states = self.model.target_states(
            src_ids.repeat(passes, 1), tgt_ids[:, :-1].repeat(passes, 1)
        )
        return projected_cross_entropy(
            states, self.model.output, tgt_ids[:, 1:], self.pad_id, self.goal
        )
