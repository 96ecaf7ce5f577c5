"""One process or several: what torchrun started, and how they agree."""

import ctypes
import os
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h


def keep_freed_memory() -> None:
    """Let malloc reuse the memory of freed tensors, which it otherwise gives back each time.

    A training step on a CPU frees and asks for the same hundreds of megabytes again and
    again; the kernel would clear every page of them anew.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


class Processes:
    """The group of training processes, a context manager; alone it is a group of one.

    Attributes:
        rank: this process's number, 0 leads; count: how many there are.
        device: where this process computes.
    """

    def __init__(self) -> None:
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        has_gpu = torch.cuda.is_available()
        self.device = torch.device("cuda", local_rank) if has_gpu else torch.device("cpu")

    def __enter__(self) -> "Processes":
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)  # where NCCL puts what `gather` sends
            torch.set_float32_matmul_precision("high")  # TF32, for what autocast leaves alone
            torch.backends.cuda.enable_cudnn_sdp(False)  # it would plan anew for every shape
        else:
            keep_freed_memory()
        if self.count > 1:
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.count > 1:
            dist.destroy_process_group()

    @property
    def multiplies_bfloat16(self) -> bool:
        """Whether the hardware has such products; elsewhere they cost ten times as much."""
        if self.device.type == "cuda":
            return torch.cuda.is_bf16_supported(including_emulation=False)
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())

    @property
    def leads(self) -> bool:
        """Whether this process prints and writes."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether `flag` holds in any process; all must ask."""
        if self.count == 1:
            return flag
        raised = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(raised, dist.ReduceOp.MAX)
        return bool(raised.item())

    def sum(self, value: Tensor) -> Tensor:
        """The sum of the scalar `value` over all processes; all must ask."""
        if self.count > 1:
            value = value.clone()
            dist.all_reduce(value)
        return value

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, in place; all must ask."""
        if self.count == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        sizes = [tensor.numel() for tensor in tensors]
        for tensor, total in zip(tensors, flat.split(sizes), strict=True):
            tensor.copy_(total.view_as(tensor))

    def gather(self, value: Any) -> list[Any]:
        """Every process's `value`, by rank, everywhere; all must ask."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value)
        return values
