import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.muon import UPDATE_RMS, Muon, orthogonalise
from model.processes import Processes

# Where five iterations leave the singular values (Jordan et al. 2024); small ones may lag.
LEAST, MOST = 0.6, 1.3


@given(rows=st.integers(2, 40), columns=st.integers(2, 40), seed=st.integers(0, 1000))
def test_all_singular_values_become_about_one(rows: int, columns: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    left = torch.linalg.qr(torch.randn(rows, rows, generator=generator)).Q
    right = torch.linalg.qr(torch.randn(columns, columns, generator=generator)).Q
    short = min(rows, columns)
    values = torch.linspace(1.0, 0.2, short)
    matrix = left[:, :short] * values @ right[:short]

    found = torch.linalg.svdvals(orthogonalise(matrix))

    assert LEAST < float(found.min()) <= float(found.max()) < MOST


def test_the_directions_stay_those_of_the_matrix() -> None:
    torch.manual_seed(1)
    matrix = torch.randn(12, 30)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)

    turned = left.t() @ orthogonalise(matrix) @ right.t()

    assert float((turned - torch.diag(turned.diag())).abs().max()) < 1e-4


def test_the_scale_of_the_matrix_does_not_matter() -> None:
    torch.manual_seed(1)
    matrix = torch.randn(8, 8)

    torch.testing.assert_close(orthogonalise(1000 * matrix), orthogonalise(matrix))


@pytest.mark.parametrize("shape", [(16, 16), (16, 64), (64, 16)])
def test_an_update_is_about_as_large_as_one_of_adamw(shape: tuple[int, int]) -> None:
    torch.manual_seed(1)
    weight = torch.nn.Parameter(torch.zeros(shape))
    weight.grad = torch.randn(shape)

    Muon([weight], Processes(), lr=0.1).step()

    moved = weight.detach() / 0.1
    assert float(moved.square().mean().sqrt()) == pytest.approx(UPDATE_RMS, rel=0.3)
    assert float((moved * weight.grad).sum()) < 0


def test_momentum_remembers_earlier_gradients() -> None:
    torch.manual_seed(1)
    first, second = torch.randn(8, 8), torch.randn(8, 8)
    weight = torch.nn.Parameter(torch.zeros(8, 8))
    muon = Muon([weight], Processes(), lr=1.0, momentum=0.9)
    weight.grad = first.clone()
    muon.step()
    before = weight.detach().clone()

    weight.grad = second.clone()
    muon.step()

    average = 0.9 * (0.1 * first) + 0.1 * second
    expected = orthogonalise(0.1 * second + 0.9 * average) * UPDATE_RMS * 8**0.5
    torch.testing.assert_close(before - weight.detach(), expected)


def test_weight_decay_shrinks_towards_zero() -> None:
    weight = torch.nn.Parameter(torch.ones(4, 4))
    weight.grad = torch.zeros(4, 4)

    Muon([weight], Processes(), lr=0.1, weight_decay=0.5).step()

    torch.testing.assert_close(weight.detach(), torch.full((4, 4), 0.95))


def test_matrices_that_are_turned_together_move_as_each_alone() -> None:
    torch.manual_seed(1)
    shapes = [(8, 8), (8, 16), (16, 8), (8, 8), (8, 16)]
    together = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    alone = [torch.nn.Parameter(weight.detach().clone()) for weight in together]
    gradients = [torch.randn(shape) for shape in shapes]
    for weight, single, gradient in zip(together, alone, gradients, strict=True):
        weight.grad, single.grad = gradient, gradient.clone()

    Muon(together, Processes(), lr=0.1, weight_decay=0.5).step()
    for single in alone:
        Muon([single], Processes(), lr=0.1, weight_decay=0.5).step()

    for weight, single in zip(together, alone, strict=True):
        torch.testing.assert_close(weight, single)
