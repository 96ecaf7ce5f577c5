"""A head that guesses: what it reads, and how many steps right guesses save."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from deploy.bench.guessing import NUM_GUESSED, Head, count_steps, decode, guess
from tests.bundles import VOCAB_SIZE, tiny_checkpoint

SRC_IDS = torch.tensor([[5, 9, 2, 7, 3], [8, 4, 3, 0, 0]])
TGT_IDS = torch.tensor([[2, 11, 12, 7], [2, 9, 3, 0]])


def guessed(src_ids: Tensor, tgt_ids: Tensor) -> Tensor:
    torch.manual_seed(1)
    model, head = tiny_checkpoint().build(), Head(tiny_checkpoint().model)
    return guess(head, model, decode(model, src_ids, tgt_ids[:, :-1]), tgt_ids[:, 1:])


def test_a_guess_is_scored_at_every_place() -> None:
    scores = guessed(SRC_IDS, TGT_IDS)

    assert scores.shape == (2, 3, min(NUM_GUESSED, VOCAB_SIZE))


def test_padding_does_not_change_a_guess() -> None:
    together = guessed(SRC_IDS, TGT_IDS)
    alone = guessed(SRC_IDS[1:, :3], TGT_IDS[1:, :3])

    torch.testing.assert_close(together[1:, :2], alone)


def test_a_guess_knows_the_token_before_it() -> None:
    other = TGT_IDS.clone()
    other[0, 3] = 15

    scores, changed = guessed(SRC_IDS, TGT_IDS), guessed(SRC_IDS, other)

    torch.testing.assert_close(scores[0, :2], changed[0, :2])
    assert (scores[0, 2] - changed[0, 2]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("is_right", "steps"),
    [
        ([], 1),
        ([False, False], 3),
        ([True], 2),  # nothing is fed before the first token is chosen
        ([True, False], 2),
        ([True, True, True, True], 3),
        ([False, True, False, True, True], 4),
    ],
)
def test_a_right_guess_saves_the_step_after_it(is_right: Sequence[bool], steps: int) -> None:
    assert count_steps(is_right) == steps
