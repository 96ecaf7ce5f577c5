import torch

from model.masks import causal_mask, padding_mask


def test_a_padding_mask_is_true_where_a_token_stands() -> None:
    mask = padding_mask(torch.tensor([[5, 7, 0], [4, 0, 0]]), pad_id=0)

    assert mask.tolist() == [[True, True, False], [True, False, False]]


def test_the_padding_id_is_the_one_given() -> None:
    assert padding_mask(torch.tensor([[0, 9]]), pad_id=9).tolist() == [[True, False]]


def test_a_causal_mask_is_true_up_to_oneself() -> None:
    assert causal_mask(3).tolist() == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
