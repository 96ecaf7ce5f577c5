"""Tiny checkpoints and bundles with random seeded weights, made in seconds from self-written text.

A bias for `eos` is planted, so that translations end early, late, or not before the limit, as those
of a trained model do. They are nonsense, but the same nonsense on every machine.
"""

import json
import random
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from export.__main__ import PRECISIONS, Graphs, build_graphs, make_samples
from export.__main__ import main as export_main
from export.parity import Sample
from model import checkpoint
from model.checkpoint import Checkpoint
from model.config import ModelConfig, NormPosition
from model.masks import padding_mask
from model.tokenizer import Tokenizer, train_tokenizer
from model.transformer import Transformer

VOCAB_SIZE = 400
PLANTING_STEPS = 20

LEXICON = {
    "en": "the dog sees a small house and the old man never reads his red book today because it "
    "rains again while children sing songs about summer in their quiet garden",
    "de": "der hund sieht ein kleines haus und der alte mann liest heute nie sein rotes buch weil "
    "es wieder regnet während kinder in ihrem stillen garten lieder über den sommer singen",
}


def write_sentences(language: str, count: int, seed: int = 1) -> list[str]:
    """Sentences of 1 to 14 random words."""
    words, generator = LEXICON[language].split(), random.Random(f"{language}{seed}")
    return [
        " ".join(generator.choices(words, k=generator.randint(1, 14))).capitalize() + "."
        for _ in range(count)
    ]


@cache
def tiny_tokenizer() -> Tokenizer:
    lines = [f" {line}" for code in LEXICON for line in write_sentences(code, 300)]
    return train_tokenizer(lines, vocab_size=VOCAB_SIZE, languages=tuple(LEXICON))


@cache
def tiny_checkpoint(norm: NormPosition = "pre", tie_output: bool = True) -> Checkpoint:
    """A checkpoint of 2 + 2 layers; every weight is random, gains and biases too."""
    config = ModelConfig(
        vocab_size=VOCAB_SIZE,
        d_model=32,
        d_ff=64,
        num_heads=2,
        num_encoder_layers=2,
        num_decoder_layers=2,
        norm=norm,
        tie_output=tie_output,
    )
    generator = torch.Generator().manual_seed(7)
    model = Transformer(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if name.endswith("gain"):
                weight.copy_(noise)
            elif name.endswith("bias"):
                weight.copy_(0.1 * noise)
            else:
                size = 1.0 if name == "embedding.weight" else 2.0
                weight.copy_(size * noise * config.d_model**-0.5)
        _plant_eos(model, tiny_tokenizer())
    return Checkpoint(
        model=config,
        weights=model.state_dict(),
        tokenizer=tiny_tokenizer(),
        languages=("en", "de"),
        directions=(("en", "de"), ("de", "en")),
        history={"recipe": "tiny", "updates": 0, "tokens": 0, "hours": 0.0},
        extra={},
    )


@cache
def tiny_samples(norm: NormPosition = "pre", tie_output: bool = True) -> tuple[Sample, ...]:
    """Translations by a tiny checkpoint, three in each direction."""
    sentences = {code: write_sentences(code, 3, seed=4) for code in LEXICON}
    return tuple(make_samples(tiny_checkpoint(norm, tie_output), sentences))


def tiny_graphs(precision: str, norm: NormPosition = "pre", tie_output: bool = True) -> Graphs:
    """Encoder and decoder of a tiny checkpoint, to be damaged at will."""
    samples = tiny_samples(norm, tie_output)
    return build_graphs(tiny_checkpoint(norm, tie_output), samples)[precision]


def source_ids(text: str, target: str) -> tuple[int, ...]:
    """The source tokens of `text`, with the tag of the target language and `eos`."""
    tokenizer = tiny_tokenizer()
    return (tokenizer.tag_id(target), *tokenizer.encode(text), tokenizer.eos_id)


def sources(count: int, seed: int = 1) -> list[tuple[int, ...]]:
    """Source tokens of random sentences, in both directions."""
    english, german = write_sentences("en", count, seed), write_sentences("de", count, seed)
    return [
        source_ids(english[i], "de") if i % 2 else source_ids(german[i], "en") for i in range(count)
    ]


@cache
def _exported(norm: NormPosition, tie_output: bool) -> dict[str, bytes]:
    with TemporaryDirectory() as folder:
        path = Path(folder)
        checkpoint.save(path / "tiny.safetensors", tiny_checkpoint(norm, tie_output))
        # Other shapes than the usual one are exported for their graphs, not for their figures.
        write_sentence_file(
            path / "sentences.json", 5 if (norm, tie_output) == ("pre", True) else 1
        )
        bundle, sentences = str(path / "bundle"), str(path / "sentences.json")
        arguments = [str(path / "tiny.safetensors"), bundle, "--sentences", sentences]
        status = export_main([*arguments, "--precision", *PRECISIONS])
        assert status == 0, "the tiny checkpoint cannot be exported"
        return {file.name: file.read_bytes() for file in (path / "bundle").iterdir()}


def write_sentence_file(path: Path, count: int) -> None:
    """Write `count` sentences of each language for the parity gate."""
    sentences = {code: write_sentences(code, count, seed=3) for code in LEXICON}
    path.write_text(json.dumps(sentences), encoding="utf-8")


def write_bundle(folder: Path, norm: NormPosition = "pre", tie_output: bool = True) -> Path:
    """Write the bundle of a tiny checkpoint, exported once in a session, to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in _exported(norm, tie_output).items():
        (folder / name).write_bytes(content)
    return folder


def _plant_eos(model: Transformer, tokenizer: Tokenizer) -> None:
    """Give `eos` the bias that lets it win one step of `PLANTING_STEPS`, once there is a token."""
    batch = sources(32)
    longest = max(map(len, batch))
    src_ids = torch.tensor([[*ids, *[tokenizer.pad_id] * (longest - len(ids))] for ids in batch])
    mask = padding_mask(src_ids, tokenizer.pad_id)
    caches = model.decoder.start(model.encode(src_ids, mask))
    token_ids = torch.full((len(batch),), tokenizer.bos_id)
    leads = []
    for position in range(PLANTING_STEPS):
        logits, caches = model.decode_step(token_ids, position, caches, mask)
        eos = logits[:, tokenizer.eos_id].clone()
        logits[:, tokenizer.eos_id] = -torch.inf
        best, token_ids = logits.max(dim=-1)
        leads.append(best - eos)
    after_first = torch.stack(leads[1:]).flatten()
    model.output.bias[tokenizer.eos_id] += after_first.quantile(1 / PLANTING_STEPS)
