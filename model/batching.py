"""Draw examples by corpus weight, and batch them by length under a token budget."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from model.augment import AugmentConfig, add_noise, join
from model.corpus import Pair
from model.formality import LANGUAGES, Formality, formality
from model.tokenizer import Tokenizer

ROUND_SENTENCES = 20_000

Cut = Callable[[str], list[int]]


class Example(NamedTuple):
    """Token ids of one pair: tag ... eos, and bos ... eos."""

    src_ids: list[int]
    tgt_ids: list[int]


class Batch(NamedTuple):
    """Padded token ids; `tgt_ids` holds inputs and labels, one position apart."""

    src_ids: Int[Tensor, "batch source"]
    tgt_ids: Int[Tensor, "batch target"]

    def count_labels(self, pad_id: int) -> int:
        """How many labels are no padding."""
        return int((self.tgt_ids[:, 1:] != pad_id).sum())

    def to(self, device: torch.device) -> "Batch":
        """The same on `device`; a GPU fetches it while it computes."""
        if device.type == "cpu":
            return self
        return Batch(*(side.pin_memory().to(device, non_blocking=True) for side in self))


class Position(NamedTuple):
    """Where in the endless stream a run stands: before batch `batch` of round `round`."""

    round: int
    batch: int


class Direction(NamedTuple):
    """One direction to learn.

    Attributes:
        forward: whether its source is the corpora's first language.
        target: the language it writes.
        weights: share of each corpus among its pairs; 0 leaves one out.
    """

    forward: bool
    target: str
    weights: Sequence[float]


def make_example(
    tokenizer: Tokenizer,
    target_language: str,
    pair: Pair,
    address: Formality | None = None,
    cut: Cut | None = None,
) -> Example:
    """Tokenise a pair for the direction into `target_language`, perhaps with a form of address.

    Args:
        cut: how text becomes token ids; None for `tokenizer.encode`.
    """
    cut = cut or tokenizer.encode
    control = [tokenizer.tag_id(target_language)]
    if address:
        control.append(tokenizer.formality_id(address))
    return Example(
        [*control, *cut(pair.first), tokenizer.eos_id],
        [tokenizer.bos_id, *cut(pair.second), tokenizer.eos_id],
    )


def pad(rows: Sequence[Sequence[int]], pad_id: int) -> Int[Tensor, "batch length"]:
    """Stack rows of unequal length, padded at the end to the longest."""
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *[pad_id] * (longest - len(row))] for row in rows])


def bucket(examples: list[Example], batch_tokens: int, random: Random) -> list[list[Example]]:
    """Cut `examples`, sorted by length, into batches of at most `batch_tokens` padded tokens.

    The budget holds for the larger side, so that is what they are sorted by: a short side beside
    a long one is padded at no cost. A single example above it is a batch of its own.
    Equal lengths are in random order, and so are the batches.
    """
    random.shuffle(examples)
    examples.sort(key=lambda example: (max(map(len, example)), len(example.src_ids)))
    batches: list[list[Example]] = [[]]
    longest = 0
    for example in examples:
        longest = max(longest, len(example.src_ids), len(example.tgt_ids))
        if batches[-1] and longest * (len(batches[-1]) + 1) > batch_tokens:
            batches.append([])
            longest = max(len(example.src_ids), len(example.tgt_ids))
        batches[-1].append(example)
    random.shuffle(batches)
    return [batch for batch in batches if batch]


@dataclass(frozen=True, kw_only=True)
class Stream:
    """An endless, repeatable stream of rounds: round r is a pure function of seed and r.

    Attributes:
        corpora: pairs of each corpus, in memory, first language first.
        directions: what to learn.
        max_tokens: examples with a longer side are left out.
    """

    tokenizer: Tokenizer
    corpora: Sequence[Sequence[Pair]]
    directions: Sequence[Direction]
    augment: AugmentConfig
    batch_tokens: int
    seed: int
    max_tokens: int = 256
    round_sentences: int = ROUND_SENTENCES

    def round(self, number: int) -> list[list[Example]]:
        """The batches of one round."""
        random = Random(f"{self.seed}/{number}")
        examples: list[Example] = []
        for forward, target_language, weights in self.directions:
            drawn = self._draw(number, self.round_sentences // len(self.directions), weights)
            if not forward:
                drawn = [Pair(pair.second, pair.first) for pair in drawn]
            random.shuffle(drawn)
            for pair in join(drawn, self.augment, random):
                noisy = add_noise(pair, self.augment, random, target_language)
                address = self._address(pair, target_language, random)
                cut = self._cut(random)
                examples.append(make_example(self.tokenizer, target_language, noisy, address, cut))
        fitting = [example for example in examples if max(map(len, example)) <= self.max_tokens]
        return bucket(fitting, self.batch_tokens, random)

    def _cut(self, random: Random) -> Cut:
        """How the next example is cut into tokens: by chance, another way than usual."""
        if self.augment.resegment and random.random() < self.augment.resegment:
            return partial(self.tokenizer.sample, random=random)
        return self.tokenizer.encode

    def _address(self, pair: Pair, target_language: str, random: Random) -> Formality | None:
        """By chance, how the target addresses its reader."""
        if target_language not in LANGUAGES or random.random() >= self.augment.formality:
            return None
        return formality(pair)

    def _draw(self, number: int, count: int, weights: Sequence[float]) -> list[Pair]:
        """Walk through each corpus in a fixed random order, so that no pair waits forever.

        Round r takes a corpus's places r * share to (r + 1) * share; each pass over a
        corpus has an order of its own, a random stride through it.
        """
        drawn: list[Pair] = []
        total = sum(weights)
        for pairs, weight in zip(self.corpora, weights, strict=True):
            share = max(1, round(count * weight / total)) if weight else 0
            for place in range(number * share, (number + 1) * share):
                epoch, offset = divmod(place, len(pairs))
                drawn.append(pairs[_permuted(offset, len(pairs), self.seed + epoch)])
        return drawn


def _permuted(offset: int, size: int, seed: int) -> int:
    """The `offset`-th place of a random order of range(size) that needs no memory.

    A four-round Feistel network over the next power of four, walked until it lands
    inside. Source: Black and Rogaway 2002, "Ciphers with Arbitrary Finite Domains".
    """
    half_bits = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half_bits) - 1
    place = offset
    while True:
        left, right = place >> half_bits, place & mask
        for step in range(4):
            key = (right * 0x9E3779B1 + (seed * 4 + step) * 0x85EBCA6B) & 0xFFFFFFFF
            key = ((key ^ (key >> 15)) * 0x2C1B3C6D) & 0xFFFFFFFF
            left, right = right, left ^ ((key ^ (key >> 12)) & mask)
        place = (left << half_bits) | right
        if place < size:
            return place


def to_batch(examples: Sequence[Example], pad_id: int) -> Batch:
    """Pad the two sides of `examples` into tensors."""
    return Batch(
        pad([example.src_ids for example in examples], pad_id),
        pad([example.tgt_ids for example in examples], pad_id),
    )
