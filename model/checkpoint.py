"""One file a checkpoint: weights, tokenizer and configurations, as safetensors.

Writing is atomic: a reader finds the old file or the new one, never half of either.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from model.config import ModelConfig
from model.tokenizer import Tokenizer
from model.transformer import Transformer

FORMAT = "dragoman-checkpoint"
VERSION = 1
TOKENIZER_KEY = "tokenizer"
WEIGHTS_PREFIX = "model."


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Weights with all that is needed to use them, and how they came to be.

    Attributes:
        weights: by parameter name, float32 in memory.
        languages: the two codes; directions: pairs of codes, (source, target).
        history: plain data about training: recipe, updates, time, scores.
        extra: further tensors of a training run (the optimiser's), empty when shipped.
    """

    model: ModelConfig
    weights: Mapping[str, Tensor]
    tokenizer: Tokenizer
    languages: tuple[str, ...]
    directions: tuple[tuple[str, str], ...]
    history: Mapping[str, Any]
    extra: Mapping[str, Tensor]

    def build(self) -> Transformer:
        """A model with these weights, in evaluation mode."""
        model = Transformer(self.model)
        model.load_state_dict(dict(self.weights))
        return model.eval()


def save(path: Path, checkpoint: Checkpoint, dtype: torch.dtype = torch.float32) -> None:
    """Write `checkpoint`, its weights as `dtype`; the tied output matrix is kept once."""
    tensors = {
        WEIGHTS_PREFIX + name: weight.detach().to("cpu", dtype).contiguous()
        for name, weight in checkpoint.weights.items()
        if not (checkpoint.model.tie_output and name == "output.weight")
    }
    tensors |= {name: tensor.detach().cpu() for name, tensor in checkpoint.extra.items()}
    serialised = np.frombuffer(checkpoint.tokenizer.model, dtype=np.uint8)
    tensors[TOKENIZER_KEY] = torch.from_numpy(serialised.copy())
    header = {
        "format": FORMAT,
        "version": VERSION,
        "model": checkpoint.model.to_dict(),
        "languages": list(checkpoint.languages),
        "directions": [list(direction) for direction in checkpoint.directions],
        "history": dict(checkpoint.history),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, metadata={"dragoman": json.dumps(header)})
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        ValueError: naming the file, if it is no checkpoint or of another version.
    """
    try:
        opened = safe_open(path, framework="pt")
    except SafetensorError as error:
        raise ValueError(f"{path} is no Dragoman checkpoint: {error}") from error
    with opened as file:
        header = json.loads((file.metadata() or {}).get("dragoman", "{}"))
        if header.get("format") != FORMAT:
            raise ValueError(f"{path} is no Dragoman checkpoint")
        if header["version"] != VERSION:
            raise ValueError(f"{path} has version {header['version']}; this reads {VERSION}")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    tokenizer = Tokenizer(tensors.pop(TOKENIZER_KEY).numpy().tobytes())
    model = ModelConfig.from_dict(header["model"])
    weights = {
        name.removeprefix(WEIGHTS_PREFIX): tensor.float()
        for name, tensor in tensors.items()
        if name.startswith(WEIGHTS_PREFIX)
    }
    if model.tie_output:
        weights["output.weight"] = weights["embedding.weight"]
    return Checkpoint(
        model=model,
        weights=weights,
        tokenizer=tokenizer,
        languages=tuple(header["languages"]),
        directions=tuple((source, target) for source, target in header["directions"]),
        history=header["history"],
        extra={key: value for key, value in tensors.items() if not key.startswith(WEIGHTS_PREFIX)},
    )


def average(weights: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of several checkpoints' weights.

    Source: Vaswani et al. 2017, section 6.1; Junczys-Dowmunt et al. 2016.
    """
    return {
        name: torch.stack([one[name].double() for one in weights]).mean(dim=0).float()
        for name in weights[0]
    }


def average_files(paths: Sequence[Path], result: Path) -> Checkpoint:
    """Write the mean of the weights in `paths` to `result`, with the last one's history.

    As float16, which halves the file.
    """
    loaded = [load(path) for path in paths]
    averaged = replace(
        loaded[-1],
        weights=average([one.weights for one in loaded]),
        history={**loaded[-1].history, "averaged": [path.name for path in paths]},
        extra={},
    )
    save(result, averaged, torch.float16)
    return averaged
