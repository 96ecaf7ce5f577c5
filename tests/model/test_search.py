"""Search is compared with something slower: all sequences there are, and a beam that never stops.

The vocabulary is tiny, so that all sequences can be tried.
"""

from functools import cache
from itertools import product

import pytest
import torch
from torch import Tensor

from model.config import ModelConfig
from model.layers import DecoderLayer, LayerCache
from model.search import Hypothesis, LengthPenalty, beam_search, greedy_search, reorder
from model.tokenizer import Tokenizer
from model.transformer import Transformer
from tests.model.conftest import MakeConfig
from tests.model.torch_twins import scramble

VOCAB_SIZE = 6
EOS_ID = 3
MAX_TOKENS = 4
SOURCES = [[4, 5, 3], [5, 5, 4, 4, 3], [3], [4, 3]]

# Scores are sums of at most 12 float32 logarithms.
SCORE_TOLERANCE = 1e-4

POWERS = [0.0, 0.6, 1.0, 2.0, -1.0]
PENALTIES = pytest.mark.parametrize(
    "length_penalty",
    [*map(LengthPenalty, POWERS), LengthPenalty(0.6, "gnmt"), LengthPenalty(2.0, "gnmt")],
    ids=str,
)


class TinyTokenizer(Tokenizer):
    """Only the ids that search asks for."""

    def __init__(self) -> None:
        self.vocab_size = VOCAB_SIZE
        self.pad_id, self.unk_id, self.bos_id, self.eos_id = 0, 1, 2, EOS_ID


TINY = TinyTokenizer()


class TableModel(Transformer):
    """Scores are random numbers that follow from the source and all tokens before.

    A small Transformer with random weights says the same at every step. These scores differ
    wildly, so that sequences end early, late or never, and what was bad may still get good.
    The tokens before are known from the caches only, so that a wrong reordering is seen.
    """

    def __init__(self, seed: int) -> None:
        sizes = {"d_model": 2, "d_ff": 1, "num_heads": 1}
        depths = {"num_encoder_layers": 1, "num_decoder_layers": 1}
        super().__init__(ModelConfig.from_dict({"vocab_size": VOCAB_SIZE, **sizes, **depths}))
        self.seed = seed
        layer = self.decoder.layers[0]
        assert isinstance(layer, DecoderLayer)
        with torch.no_grad():  # cross-attention caches the source as it is
            layer.cross_attention.to_key_value.bias.zero_()
            layer.cross_attention.to_key_value.weight.copy_(torch.eye(2).repeat(2, 1))

    def logits_after(self, source: list[int], tokens: list[int]) -> Tensor:
        random = torch.Generator().manual_seed(hash((self.seed, *source, -1, *tokens)))
        return 2.5 * torch.randn(VOCAB_SIZE, generator=random)

    def encode(self, src_ids: Tensor, src_mask: Tensor) -> Tensor:
        return (src_ids * src_mask).unsqueeze(-1).expand(-1, -1, 2).float()

    def decode_step(
        self, token_ids: Tensor, position: int, caches: list[LayerCache], src_mask: Tensor
    ) -> tuple[Tensor, list[LayerCache]]:
        newest = token_ids[:, None, None, None].float().expand(-1, 1, 1, 2)
        cache = caches[0]._replace(self_key=torch.cat((caches[0].self_key, newest), dim=2))
        sources = cache.cross_key[:, 0, :, 0].int().tolist()
        before = cache.self_key[:, 0, :, 0].int().tolist()
        rows = [
            self.logits_after([token_id for token_id in source if token_id], tokens)
            for source, tokens in zip(sources, before, strict=True)
        ]
        return torch.stack(rows), [cache]

    def forward(self, src_ids: Tensor, tgt_ids: Tensor) -> Tensor:
        last = self.logits_after(src_ids[0].tolist(), tgt_ids[0].tolist())
        return last[None, None]  # (1, 1, vocab): after the last token only


@pytest.fixture(scope="module", params=["transformer", 1, 2, 3, 4])
def model(make_config: MakeConfig, request: pytest.FixtureRequest) -> Transformer:
    if request.param != "transformer":
        return TableModel(request.param)
    torch.manual_seed(2)
    model = Transformer(make_config(vocab_size=VOCAB_SIZE)).eval()
    for _ in range(10):
        scramble(model)
    return model


def divisor(length: int, length_penalty: LengthPenalty) -> float:
    if length_penalty.formula == "gnmt":
        return (5 + length) ** length_penalty.power / 6**length_penalty.power
    return length**length_penalty.power


@cache
@torch.inference_mode()
def log_probs_after(model: Transformer, source: tuple[int, ...], tokens: tuple[int, ...]) -> Tensor:
    """Of what follows bos and `tokens`, without any cache of keys and values."""
    logits = model(torch.tensor([source]), torch.tensor([[TINY.bos_id, *tokens]]))
    return logits[0, -1].double().log_softmax(dim=-1)


def log_probs(model: Transformer, source: list[int], tokens: list[int]) -> list[float]:
    return log_probs_after(model, tuple(source), tuple(tokens)).tolist()


def all_hypotheses(
    model: Transformer, source: list[int], length_penalty: LengthPenalty
) -> list[Hypothesis]:
    """Every sequence that ends by eos within the limit, or is cut by it, best first."""
    others = [token for token in range(VOCAB_SIZE) if token != EOS_ID]
    found = []
    for length in range(MAX_TOKENS + 1):
        for tokens in product(others, repeat=length):
            is_complete = length < MAX_TOKENS
            ended = [*tokens, EOS_ID] if is_complete else list(tokens)
            steps = range(len(ended))
            score = sum(log_probs(model, source, ended[:step])[ended[step]] for step in steps)
            found.append(
                Hypothesis(list(tokens), score / divisor(len(ended), length_penalty), is_complete)
            )
    return sorted(found, key=lambda hypothesis: -hypothesis.score)


def endless_beam_search(
    model: Transformer,
    source: list[int],
    beam_size: int,
    length_penalty: LengthPenalty,
    max_tokens: int,
) -> list[Hypothesis]:
    """The same beam, uncached, that never stops before the limit."""
    live: list[tuple[list[int], float]] = [([], 0.0)]
    ended: list[tuple[list[int], float]] = []
    for _ in range(max_tokens):
        grown = [
            ([*tokens, token], score + log_prob)
            for tokens, score in live
            for token, log_prob in enumerate(log_probs(model, source, tokens))
        ]
        grown.sort(key=lambda pair: -pair[1])
        ended += [pair for pair in grown[:beam_size] if pair[0][-1] == EOS_ID]
        live = [pair for pair in grown[: 2 * beam_size] if pair[0][-1] != EOS_ID][:beam_size]
    found = [
        Hypothesis(
            [token for token in tokens if token != EOS_ID],
            score / divisor(len(tokens), length_penalty),
            tokens[-1] == EOS_ID,
        )
        for tokens, score in ended + live
    ]
    return sorted(found, key=lambda hypothesis: -hypothesis.score)[:beam_size]


def assert_same(found: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [one.token_ids for one in found] == [one.token_ids for one in expected]
    assert [one.is_complete for one in found] == [one.is_complete for one in expected]
    assert [one.score for one in found] == pytest.approx(
        [one.score for one in expected], abs=SCORE_TOLERANCE
    )


@PENALTIES
def test_a_beam_as_wide_as_the_tree_finds_the_best_of_all_sequences(
    model: Transformer, length_penalty: LengthPenalty
) -> None:
    found = beam_search(
        model,
        TINY,
        SOURCES[0],
        beam_size=1000,
        length_penalty=length_penalty,
        max_tokens=MAX_TOKENS,
    )

    assert_same(found[:50], all_hypotheses(model, SOURCES[0], length_penalty)[:50])


@PENALTIES
@pytest.mark.parametrize("beam_size", [1, 2, 3, 5])
def test_stopping_early_finds_what_going_on_finds(
    model: Transformer, beam_size: int, length_penalty: LengthPenalty
) -> None:
    for source in SOURCES[:2]:
        found = beam_search(
            model,
            TINY,
            source,
            beam_size=beam_size,
            length_penalty=length_penalty,
            max_tokens=10,
        )

        assert_same(found, endless_beam_search(model, source, beam_size, length_penalty, 10))


def test_a_beam_of_one_without_length_penalty_is_greedy(model: Transformer) -> None:
    """With one, a beam of one goes on beside an ended hypothesis that may be too short."""
    greedy = greedy_search(model, TINY, SOURCES, max_tokens=10)

    for source, alone in zip(SOURCES, greedy, strict=True):
        beam = beam_search(
            model, TINY, source, beam_size=1, length_penalty=LengthPenalty(0.0), max_tokens=10
        )
        length = len(alone.token_ids) + alone.is_complete
        assert_same([Hypothesis(alone.token_ids, alone.score * length, alone.is_complete)], beam)


def test_greedy_search_takes_the_best_token_until_eos(model: Transformer) -> None:
    for source in SOURCES:
        tokens: list[int] = []
        score = 0.0
        while len(tokens) < 10 and EOS_ID not in tokens:
            following = log_probs(model, source, tokens)
            tokens.append(following.index(max(following)))
            score += max(following)
        ended = EOS_ID in tokens
        expected = Hypothesis(
            tokens[:-1] if ended else tokens, score / len(tokens), is_complete=ended
        )

        assert_same(greedy_search(model, TINY, [source], max_tokens=10), [expected])


def test_greedy_search_in_a_batch_equals_each_alone(model: Transformer) -> None:
    """Of twelve, some end while too few have ended for the batch to drop them."""
    sources = [[4 + (number >> bit) % 2 for bit in range(4)] + [3] for number in range(12)]

    batched = greedy_search(model, TINY, sources, max_tokens=10)

    assert_same(
        batched, [greedy_search(model, TINY, [source], max_tokens=10)[0] for source in sources]
    )


def test_sequences_end_early_late_and_never() -> None:
    """Guards the tests above: sources that all end at once would prove little."""
    found = [greedy_search(TableModel(seed), TINY, SOURCES, 10) for seed in (1, 2, 3, 4)]

    assert len({len(one.token_ids) for batch in found for one in batch}) >= 4
    assert {one.is_complete for batch in found for one in batch} == {True, False}


def test_the_gnmt_formula_is_milder_on_short_translations() -> None:
    plain, gnmt = LengthPenalty(1.0), LengthPenalty(1.0, "gnmt")

    assert [plain.score(-6.0, length) for length in (1, 7)] == [-6.0, -6.0 / 7]
    assert [gnmt.score(-6.0, length) for length in (1, 7)] == [-6.0, -3.0]


def test_the_limit_counts_eos(model: Transformer) -> None:
    for limit in (1, 2, 3):
        for hypothesis in greedy_search(model, TINY, SOURCES, max_tokens=limit):
            assert len(hypothesis.token_ids) + hypothesis.is_complete <= limit
            assert hypothesis.is_complete or len(hypothesis.token_ids) == limit


def test_reordered_caches_are_those_of_their_parents(make_config: MakeConfig) -> None:
    model = Transformer(make_config(vocab_size=VOCAB_SIZE))
    src_ids = torch.tensor([[4, 5, 3], [5, 4, 3]])
    caches = model.decoder.start(model.encode(src_ids, src_ids != 0))

    reordered = reorder(caches, torch.tensor([1, 1, 0]))

    for before, after in zip(caches, reordered, strict=True):
        for part_before, part_after in zip(before, after, strict=True):
            assert torch.equal(part_after, part_before[[1, 1, 0]])
