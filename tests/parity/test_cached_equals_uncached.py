"""Token after token out of caches scores what the whole target at once scores."""

import numpy as np
import pytest
import torch

from export.onnx_model import OnnxModel
from model.config import NormPosition
from model.masks import padding_mask
from tests.bundles import sources, tiny_checkpoint, tiny_graphs, tiny_tokenizer

TOLERANCE = 1e-4  # float32 rounding gave up to 3e-5


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_pytorch_cached_pytorch_uncached_and_onnx_agree(norm: NormPosition) -> None:
    checkpoint = tiny_checkpoint(norm)
    model = checkpoint.build()
    onnx_model = OnnxModel(checkpoint.model, *tiny_graphs("float32", norm))
    source, fed = sources(1, seed=6)[0], [tiny_tokenizer().bos_id, *range(300, 340)]
    src_ids = torch.tensor([source])
    mask = padding_mask(src_ids, 0)

    with torch.inference_mode():
        memory = model.encode(src_ids, mask)
        uncached = model.decode(torch.tensor([fed]), memory, mask)[0]
        caches, cached = model.decoder.start(memory), []
        for position, token_id in enumerate(fed):
            logits, caches = model.decode_step(torch.tensor([token_id]), position, caches, mask)
            cached.append(logits[0])
    found = onnx_model.logits(source, fed)

    for other in (torch.stack(cached).numpy(), found):
        np.testing.assert_allclose(other, uncached.numpy(), rtol=0, atol=TOLERANCE)
