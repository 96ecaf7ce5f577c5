import math

import pytest
import torch

from model.embeddings import Embedding, OutputProjection, positional_encoding
from tests.model.conftest import MakeConfig

# The answer is float32: half a unit in the last place below 1.
FLOAT32_ROUNDING = 2**-25


def direct_encoding(position: int, d_model: int) -> list[float]:
    """The paper's formula, coordinate by coordinate, in float64."""
    values = []
    for coordinate in range(d_model):
        angle = position / 10000 ** ((coordinate - coordinate % 2) / d_model)
        values.append(math.cos(angle) if coordinate % 2 else math.sin(angle))
    return values


@pytest.mark.parametrize("d_model", [2, 16, 512])
def test_positions_are_encoded_by_the_papers_formula(d_model: int) -> None:
    positions = torch.tensor([0, 1, 2, 511, 5000])

    encoded = positional_encoding(positions, d_model)

    expected = [direct_encoding(position, d_model) for position in positions.tolist()]
    torch.testing.assert_close(
        encoded.double(),
        torch.tensor(expected, dtype=torch.float64),
        rtol=0,
        atol=2 * FLOAT32_ROUNDING,
    )


def test_a_token_is_embedded_by_its_scaled_row_and_its_position(make_config: MakeConfig) -> None:
    embedding = Embedding(make_config())

    embedded = embedding(torch.tensor([[3, 5]]), first_position=7)

    expected = embedding.weight[5] * 4.0 + torch.tensor(direct_encoding(8, 16))  # 4 = sqrt(16)
    torch.testing.assert_close(embedded[0, 1], expected)


def test_dropout_falls_on_the_embedded_input(make_config: MakeConfig) -> None:
    embedding = Embedding(make_config(dropout=0.5)).train()

    assert (embedding(torch.full((2, 50), 3)) == 0).any()


def test_a_tied_output_reads_the_embedding_matrix(make_config: MakeConfig) -> None:
    embedding = Embedding(make_config(tie_output=True))
    output = OutputProjection(make_config(tie_output=True), embedding)
    x = torch.randn(2, 16)

    assert output.weight is embedding.weight
    torch.testing.assert_close(output(x), x @ embedding.weight.T + output.bias)


def test_an_untied_output_has_a_matrix_of_its_own(make_config: MakeConfig) -> None:
    embedding = Embedding(make_config(tie_output=False))
    output = OutputProjection(make_config(tie_output=False), embedding)
    x = torch.randn(2, 16)

    assert output.weight is not embedding.weight
    torch.testing.assert_close(output(x), x @ output.weight.T + output.bias)
