"""Muon: momentum whose every matrix is turned into the nearest orthogonal one.

Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; the scale
of an update is that of Liu et al. 2025, "Muon is Scalable for LLM Training", section 2.2.
"""

from collections.abc import Iterable, Sequence
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
    matrices: Float[Tensor, "*count row column"], iterations: int = 5
) -> Float[Tensor, "*count row column"]:
    """U V^T of each singular value decomposition U S V^T, roughly and without computing it.

    Newton-Schulz iteration with an odd polynomial, on the side that is shorter.

    Source: Jordan et al. 2024, section "The design of Newton-Schulz iteration".
    """
    a, b, c = NEWTON_SCHULZ
    is_tall = matrices.size(-2) > matrices.size(-1)
    x = matrices.mT if is_tall else matrices  # (*count, short, long)
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(iterations):
        gram = x @ x.mT  # (*count, short, short)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if is_tall else x


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
            updates = self._updates(group["params"], group["momentum"])
            self._processes.add_up(updates)
            torch._foreach_mul_(group["params"], 1 - group["lr"] * group["decay"])
            for parameter, update in zip(group["params"], updates, strict=True):
                scale = UPDATE_RMS * max(parameter.shape) ** 0.5
                parameter.add_(update, alpha=-group["lr"] * scale)

    def _updates(self, parameters: Sequence[nn.Parameter], momentum: float) -> list[Tensor]:
        """The orthogonal updates of this process's share, and zeros in place of the others.

        Matrices of one shape are turned together: each alone is so small that a GPU would spend
        its time on being told about them.
        """
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        assert len(gradients) == len(parameters)
        averages = [self._average(parameter) for parameter in parameters]
        torch._foreach_lerp_(averages, gradients, 1 - momentum)
        updates = list(torch._foreach_lerp(gradients, averages, momentum))
        alike: dict[torch.Size, list[int]] = {}
        for place, update in enumerate(updates):
            if place % self._processes.count == self._processes.rank:
                alike.setdefault(update.shape, []).append(place)
            else:
                update.zero_()
        for places in alike.values():
            turned = orthogonalise(torch.stack([updates[place] for place in places]))
            for place, update in zip(places, turned, strict=True):
                updates[place] = update
        return updates

    def _average(self, parameter: nn.Parameter) -> Tensor:
        """What is remembered of a matrix: the running mean of its gradients."""
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        average: Tensor = state["momentum"]
        return average
