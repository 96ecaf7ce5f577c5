"""Muon: momentum whose every matrix is turned into the nearest orthogonal one.

Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; the scale
of an update is that of Liu et al. 2025, "Muon is Scalable for LLM Training", section 2.2.
"""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from model.processes import Processes

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients that drive every singular value into [0.7, 1.2] in five iterations."""

UPDATE_RMS = 0.2
"""Root mean square of an update at learning rate 1: about AdamW's, so that one rate fits both."""


def orthogonalise(
    matrix: Float[Tensor, "row column"], iterations: int = 5
) -> Float[Tensor, "row column"]:
    """U V^T of the singular value decomposition U S V^T, roughly and without computing it.

    Newton-Schulz iteration with an odd polynomial, on the side that is shorter.

    Source: Jordan et al. 2024, section "The design of Newton-Schulz iteration".
    """
    a, b, c = NEWTON_SCHULZ
    is_tall = matrix.size(0) > matrix.size(1)
    x = matrix.t() if is_tall else matrix  # (short, long)
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        gram = x @ x.t()  # (short, short)
        x = a * x + torch.addmm(gram, gram, gram, beta=b, alpha=c) @ x
    return x.t() if is_tall else x


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonal updates, for matrices; every other parameter wants AdamW.

    Of several processes each orthogonalises its share of the matrices, and all add up theirs.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        processes: Processes,
        *,
        lr: float = 0.0,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "decay": weight_decay})
        self._processes = processes

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Move every matrix by its orthogonalised Nesterov momentum."""
        for group in self.param_groups:
            shares = [
                self._share(parameter, group["momentum"], index % self._processes.count)
                for index, parameter in enumerate(group["params"])
            ]
            self._processes.add_up(shares)
            for parameter, update in zip(group["params"], shares, strict=True):
                parameter.mul_(1 - group["lr"] * group["decay"])
                scale = UPDATE_RMS * max(parameter.shape) ** 0.5
                parameter.add_(update, alpha=-group["lr"] * scale)

    def _share(self, parameter: nn.Parameter, momentum: float, rank: int) -> Tensor:
        """The update of `parameter` if `rank` is this process, else zeros."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        average: Tensor = state["momentum"]
        average.lerp_(parameter.grad, 1 - momentum)
        if rank != self._processes.rank:
            return torch.zeros_like(parameter)
        return orthogonalise(parameter.grad.lerp(average, momentum))
