import pytest
import torch

from model.loss import smoothed_cross_entropy


def direct_loss(logits: torch.Tensor, labels: torch.Tensor, pad_id: int, smoothing: float) -> float:
    """Cross entropy with the smoothed distribution written out, label by label."""
    vocab_size = logits.size(-1)
    total = 0.0
    for row, label in zip(logits.flatten(0, 1).double(), labels.flatten().tolist(), strict=True):
        if label == pad_id:
            continue
        distribution = torch.full((vocab_size,), smoothing / vocab_size, dtype=torch.float64)
        distribution[label] += 1 - smoothing
        total -= float(distribution @ row.log_softmax(dim=-1))
    return total


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("pad_id", [0, 4])
def test_the_loss_is_the_cross_entropy_with_the_smoothed_distribution(
    smoothing: float, pad_id: int
) -> None:
    logits = 3 * torch.randn(3, 5, 7)
    labels = torch.randint(0, 7, (3, 5))
    labels[1, 2:] = pad_id

    loss = smoothed_cross_entropy(logits, labels, pad_id, smoothing)

    assert float(loss) == pytest.approx(direct_loss(logits, labels, pad_id, smoothing), rel=1e-5)


def test_padding_adds_nothing_to_the_sum() -> None:
    logits, labels = torch.randn(2, 3, 7), torch.tensor([[1, 2, 3], [4, 0, 0]])

    whole = smoothed_cross_entropy(logits, labels, 0, 0.1)
    first = smoothed_cross_entropy(logits[:1], labels[:1], 0, 0.1)
    second = smoothed_cross_entropy(logits[1:, :1], labels[1:, :1], 0, 0.1)

    torch.testing.assert_close(whole, first + second)


def test_the_loss_of_bfloat16_logits_is_float32() -> None:
    logits = torch.randn(1, 2, 7, dtype=torch.bfloat16)

    assert smoothed_cross_entropy(logits, torch.tensor([[1, 2]]), 0, 0.1).dtype == torch.float32
