"""Which graphs of a bundle run on what: the choice between CPU and GPU, and why."""

from dataclasses import dataclass

from service.bundle import Bundle
from service.engine.device import PROVIDERS, cuda_obstacle
from service.errors import BundleError

GPU_PRECISION = "float16"
"""onnxruntime's attention over a cache, GroupQueryAttention, has no other kernel for CUDA."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """What was chosen.

    Attributes:
        device: "cpu" or "cuda"; provider: the same in onnxruntime's words.
        precision: of the graphs.
        warnings: sentences on what was asked for and cannot be had.
    """

    device: str
    precision: str
    warnings: tuple[str, ...]

    @property
    def provider(self) -> str:
        """The device in onnxruntime's words."""
        return PROVIDERS[self.device]


def choose_execution(bundle: Bundle, provider: str, precision: str) -> Execution:
    """Take a GPU if it is wanted and can be had, and the graphs that are quickest there.

    Args:
        provider: "auto", "cpu" or "cuda"; precision: "auto" or one that the bundle has.
    Raises:
        BundleError: if the bundle lacks the precision.
    """
    graphs = bundle.manifest.graphs
    if precision not in ("auto", *graphs):
        raise BundleError(f"{bundle.path} has no {precision} graphs; it has {', '.join(graphs)}")
    obstacle = _obstacle(bundle, precision)
    if provider != "cpu" and not obstacle:
        return Execution(device="cuda", precision=GPU_PRECISION, warnings=())
    if precision == "auto":
        precision = next(name for name in ("int8", "float32", *graphs) if name in graphs)
    warnings = (f"the CPU is taken instead of CUDA: {obstacle}",) if provider == "cuda" else ()
    return Execution(device="cpu", precision=precision, warnings=warnings)


def _obstacle(bundle: Bundle, precision: str) -> str:
    """Why a GPU cannot be had; empty if it can."""
    if obstacle := cuda_obstacle():
        return obstacle
    if precision not in ("auto", GPU_PRECISION):
        return f"{precision} graphs do not run there, {GPU_PRECISION} graphs do"
    if GPU_PRECISION not in bundle.manifest.graphs:
        return f"{bundle.path} has no {GPU_PRECISION} graphs"
    return ""
