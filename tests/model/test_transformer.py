import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from model.layers import DecoderLayer, EncoderLayer
from model.masks import causal_mask, padding_mask
from model.transformer import Decoder, Encoder, Transformer
from tests.model.conftest import MakeConfig
from tests.model.torch_twins import copy_decoder_layer, copy_encoder_layer, copy_norm, scramble

# Sums in another order: a few units in the last place of each dtype.
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}

DTYPES = pytest.mark.parametrize("dtype", list(TOLERANCE))
SHAPES = pytest.mark.parametrize(
    ("norm", "kernel"), [("pre", "fused"), ("pre", "plain"), ("post", "fused"), ("post", "plain")]
)

TOKEN_IDS = st.lists(st.integers(1, 22), min_size=1, max_size=9)
SRC_IDS = torch.tensor([[5, 9, 2, 7, 3], [8, 6, 3, 0, 0]])
TGT_IDS = torch.tensor([[2, 11, 12, 13], [2, 14, 15, 0]])


def scrambled(make_config: MakeConfig, **settings: object) -> Transformer:
    """A model in float64, in evaluation mode, none of whose parameters is 0 or 1."""
    model = Transformer(make_config(**settings)).double().eval()
    scramble(model)
    return model


@pytest.fixture(scope="module")
def model(make_config: MakeConfig) -> Transformer:
    torch.manual_seed(1)
    return scrambled(make_config)


@SHAPES
@DTYPES
def test_the_encoder_equals_pytorchs(
    make_config: MakeConfig, norm: str, kernel: str, dtype: torch.dtype
) -> None:
    ours = Encoder(make_config(norm=norm, attention=kernel, num_encoder_layers=3)).to(dtype)
    twins = []
    for layer in ours.layers:
        assert isinstance(layer, EncoderLayer)
        twins.append(copy_encoder_layer(layer))
    theirs = nn.TransformerEncoder(twins[0], 3, enable_nested_tensor=False)
    theirs.layers = nn.ModuleList(twins)
    if norm == "pre":
        scramble(ours.norm)
        theirs.norm = nn.LayerNorm(16, dtype=dtype)
        copy_norm(ours.norm, theirs.norm)  # type: ignore[arg-type]
    x = torch.randn(2, 5, 16, dtype=dtype)
    mask = padding_mask(SRC_IDS, pad_id=0)

    expected = theirs(x, src_key_padding_mask=~mask)

    torch.testing.assert_close(
        ours(x, mask)[mask], expected[mask], rtol=0, atol=2 * TOLERANCE[dtype]
    )


@SHAPES
@DTYPES
def test_the_decoder_equals_pytorchs(
    make_config: MakeConfig, norm: str, kernel: str, dtype: torch.dtype
) -> None:
    ours = Decoder(make_config(norm=norm, attention=kernel, num_decoder_layers=3)).to(dtype)
    twins = []
    for layer in ours.layers:
        assert isinstance(layer, DecoderLayer)
        twins.append(copy_decoder_layer(layer))
    theirs = nn.TransformerDecoder(twins[0], 3)
    theirs.layers = nn.ModuleList(twins)
    if norm == "pre":
        scramble(ours.norm)
        theirs.norm = nn.LayerNorm(16, dtype=dtype)
        copy_norm(ours.norm, theirs.norm)  # type: ignore[arg-type]
    x = torch.randn(2, 4, 16, dtype=dtype)
    memory = torch.randn(2, 5, 16, dtype=dtype)
    mask = padding_mask(SRC_IDS, pad_id=0)

    expected = theirs(x, memory, tgt_mask=~causal_mask(4), memory_key_padding_mask=~mask)

    torch.testing.assert_close(ours(x, memory, mask), expected, rtol=0, atol=2 * TOLERANCE[dtype])


@SHAPES
def test_cached_decoding_equals_uncached_at_every_step(
    make_config: MakeConfig, norm: str, kernel: str
) -> None:
    model = scrambled(make_config, norm=norm, attention=kernel)
    src_mask = padding_mask(SRC_IDS, pad_id=0)
    memory = model.encode(SRC_IDS, src_mask)

    caches = model.decoder.start(memory)
    for position in range(TGT_IDS.size(1)):
        uncached = model.decode(TGT_IDS[:, : position + 1], memory, src_mask)[:, -1]
        cached, caches = model.decode_step(TGT_IDS[:, position], position, caches, src_mask)
        torch.testing.assert_close(cached, uncached, rtol=0, atol=1e-10)


def test_both_attention_kernels_give_the_same_scores(make_config: MakeConfig) -> None:
    fused = scrambled(make_config, attention="fused")
    plain = Transformer(make_config(attention="plain")).double().eval()
    plain.load_state_dict(fused.state_dict())

    torch.testing.assert_close(plain(SRC_IDS, TGT_IDS), fused(SRC_IDS, TGT_IDS), atol=1e-10, rtol=0)


@given(
    source=TOKEN_IDS,
    target=TOKEN_IDS,
    src_padding=st.integers(1, 20),
    tgt_padding=st.integers(1, 9),
)
def test_padding_of_any_length_changes_nothing(
    model: Transformer, source: list[int], target: list[int], src_padding: int, tgt_padding: int
) -> None:
    alone = model(torch.tensor([source]), torch.tensor([target]))

    padded = model(
        torch.tensor([source + [0] * src_padding]), torch.tensor([target + [0] * tgt_padding])
    )

    torch.testing.assert_close(padded[:, : len(target)], alone, rtol=0, atol=1e-10)


@given(target=TOKEN_IDS, data=st.data())
def test_a_future_target_token_changes_no_earlier_output(
    model: Transformer, target: list[int], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(target) - 1), label="place of the change")
    changed = list(target)
    changed[place] = data.draw(
        st.integers(1, 22).filter(lambda token: token != target[place]), label="new token"
    )

    before = model(SRC_IDS[:1], torch.tensor([target]))
    after = model(SRC_IDS[:1], torch.tensor([changed]))

    torch.testing.assert_close(after[:, :place], before[:, :place], rtol=0, atol=0)
    assert not torch.equal(after[:, place], before[:, place])


def test_every_source_token_matters(model: Transformer) -> None:
    """Guards the test of padding: a model blind to its source would pass it."""
    before = model(SRC_IDS[:1], TGT_IDS[:1])

    for place in range(SRC_IDS.size(1)):
        changed = SRC_IDS[:1].clone()
        changed[0, place] = 20
        assert (model(changed, TGT_IDS[:1]) - before).abs().max() > 1e-6


@SHAPES
@pytest.mark.parametrize("tie_output", [True, False])
def test_gradients_flow_to_every_parameter(
    make_config: MakeConfig, norm: str, kernel: str, tie_output: bool
) -> None:
    # Dead units of the feed-forward network would leave zeros: the whole tensor is looked at.
    model = Transformer(make_config(norm=norm, attention=kernel, tie_output=tie_output))

    model(SRC_IDS, TGT_IDS).logsumexp(dim=-1).square().sum().backward()

    without = [name for name, weight in model.named_parameters() if not _has_gradient(weight)]
    assert without == []


def _has_gradient(parameter: Tensor) -> bool:
    gradient = parameter.grad
    return gradient is not None and bool(gradient.isfinite().all()) and bool(gradient.any())


def test_encoder_and_decoder_may_differ_in_depth(make_config: MakeConfig) -> None:
    model = Transformer(make_config(num_encoder_layers=4, num_decoder_layers=1))

    assert (len(model.encoder.layers), len(model.decoder.layers)) == (4, 1)
    assert model(SRC_IDS, TGT_IDS).shape == (2, 4, 23)


def test_the_padding_id_comes_from_the_config(make_config: MakeConfig) -> None:
    model = scrambled(make_config, pad_id=22)
    padded = torch.tensor([[5, 9, 22, 22]])

    torch.testing.assert_close(
        model(padded, TGT_IDS[:1]), model(padded[:, :2], TGT_IDS[:1]), rtol=0, atol=1e-10
    )
