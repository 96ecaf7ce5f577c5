import pytest
import torch

from model import loss
from model.config import ModelConfig
from model.loss import Goal, Objective, projected_cross_entropy
from model.transformer import Transformer
from tests.model.conftest import MakeConfig

# The sums are the same, in another order.
TOLERANCE = 1e-5


@pytest.fixture
def model(make_config: MakeConfig) -> Transformer:
    torch.manual_seed(1)
    return Transformer(make_config())


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
    model: Transformer, smoothing: float, pad_id: int
) -> None:
    states = torch.randn(3, 5, 16)
    labels = torch.randint(0, 23, (3, 5))
    labels[1, 2:] = pad_id

    found = projected_cross_entropy(states, model.output, labels, pad_id, Goal(smoothing)).detach()

    expected = direct_loss(model.output(states).detach(), labels, pad_id, smoothing)
    assert float(found) == pytest.approx(expected, rel=TOLERANCE)


@pytest.mark.parametrize("rows", [1, 4, 1000], ids=["row by row", "in chunks", "at once"])
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_the_gradients_are_those_of_the_whole_logits(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, rows: int, norm: str
) -> None:
    """Of every parameter, the embedding that is also the output matrix among them."""
    monkeypatch.setattr(loss, "CHUNK_LOGITS", rows * 23)
    model = Transformer(make_config(norm=norm))
    src_ids, tgt_ids = torch.randint(1, 23, (3, 6)), torch.randint(1, 23, (3, 8))
    tgt_ids[1, 5:] = 0

    (Objective(model, pad_id=0, goal=Goal(0.1))(src_ids, tgt_ids) / 7).backward()

    found = {name: weight.grad for name, weight in model.named_parameters()}
    model.zero_grad()
    logits = model(src_ids, tgt_ids[:, :-1])
    labels = tgt_ids[:, 1:]
    whole = torch.nn.functional.cross_entropy(
        *(logits.flatten(0, 1), labels.flatten()),
        ignore_index=0,
        reduction="sum",
        label_smoothing=0.1,
    )
    (whole / 7).backward()
    for name, weight in model.named_parameters():
        torch.testing.assert_close(found[name], weight.grad, rtol=1e-4, atol=TOLERANCE, msg=name)


def test_padding_adds_nothing_to_the_sum(model: Transformer) -> None:
    states, labels = torch.randn(2, 3, 16), torch.tensor([[1, 2, 3], [4, 0, 0]])

    whole = projected_cross_entropy(states, model.output, labels, 0, Goal(0.1))
    first = projected_cross_entropy(states[:1], model.output, labels[:1], 0, Goal(0.1))
    second = projected_cross_entropy(states[1:, :1], model.output, labels[1:, :1], 0, Goal(0.1))

    torch.testing.assert_close(whole, first + second)


def test_under_autocast_the_loss_is_float32_and_near_the_exact_one() -> None:
    config = ModelConfig(
        vocab_size=50, d_model=32, d_ff=64, num_heads=4, num_encoder_layers=1, num_decoder_layers=1
    )
    objective = Objective(Transformer(config).eval(), pad_id=0, goal=Goal(0.1))
    ids = torch.randint(1, 50, (4, 9))

    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = objective(ids, ids)
    rough.backward()
    rough, exact = rough.detach(), objective(ids, ids).detach()

    assert rough.dtype == torch.float32
    assert float(rough) == pytest.approx(float(exact), rel=0.02)
    assert all(weight.grad is not None for weight in objective.parameters())


def r_drop(first: torch.Tensor, second: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Half of Wu et al. 2021, equation 3, with alpha 5, as its parts from `torch.nn.functional`."""
    cross_entropy = torch.nn.functional.cross_entropy
    total = torch.zeros(())
    for logits, other in ((first, second), (second, first)):
        flat = logits.flatten(0, 1), labels.flatten()
        total = total + cross_entropy(*flat, ignore_index=0, reduction="sum", label_smoothing=0.1)
        apart = torch.nn.functional.kl_div(
            other.log_softmax(-1), logits.log_softmax(-1), reduction="none", log_target=True
        )
        total = total + 5 / 2 * apart[labels != 0].sum()
    return total / 2


@pytest.mark.parametrize("rows", [1, 4, 1000], ids=["row by row", "in chunks", "at once"])
def test_two_passes_that_disagree_cost_what_r_drop_says(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """Loss and gradients, with dropout; its masks are drawn anew from the same seed."""
    monkeypatch.setattr(loss, "CHUNK_LOGITS", rows * 2 * 23)
    model = Transformer(make_config(dropout=0.3)).train()
    src_ids, tgt_ids = torch.randint(1, 23, (3, 6)), torch.randint(1, 23, (3, 8))
    tgt_ids[1, 5:] = 0

    torch.manual_seed(3)
    found = Objective(model, pad_id=0, goal=Goal(0.1, 5.0))(src_ids, tgt_ids)
    (found / 7).backward()

    gradients = {name: weight.grad for name, weight in model.named_parameters()}
    model.zero_grad()
    torch.manual_seed(3)
    first, second = model(src_ids.repeat(2, 1), tgt_ids[:, :-1].repeat(2, 1)).chunk(2)
    assert not torch.allclose(first, second)
    expected = r_drop(first, second, tgt_ids[:, 1:])
    (expected / 7).backward()
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=TOLERANCE)
    for name, weight in model.named_parameters():
        torch.testing.assert_close(
            gradients[name], weight.grad, rtol=1e-4, atol=TOLERANCE, msg=name
        )
