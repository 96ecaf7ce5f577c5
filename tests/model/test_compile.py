"""Compiled code, in a process of its own: the import hook that checks shapes breaks it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import torch
from model.config import ModelConfig
from model.transformer import Transformer

torch.set_num_threads(1)
torch.manual_seed(1)
config = ModelConfig(
    vocab_size=23, d_model=16, d_ff=32, num_heads=4, num_encoder_layers=1, num_decoder_layers=1,
    dropout=0.0, attention="KERNEL",
)
model, compiled = Transformer(config), Transformer(config)
compiled.load_state_dict(model.state_dict())
for layer in (*compiled.encoder.layers, *compiled.decoder.layers):
    layer.compile(dynamic=True)
for source, target in ((5, 4), (7, 9), (3, 6)):
    src_ids, tgt_ids = torch.randint(1, 23, (2, source)), torch.randint(1, 23, (2, target))
    src_ids[1, -1] = 0
    expected, found = model(src_ids, tgt_ids), compiled(src_ids, tgt_ids)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kernel", ["fused", "plain"])
def test_the_compiled_model_scores_as_the_plain_one(kernel: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("KERNEL", kernel)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
        timeout=590,
    )

    assert finished.returncode == 0, finished.stderr
