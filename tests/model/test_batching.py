from collections import Counter
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.augment import AugmentConfig
from model.batching import (
    Direction,
    Example,
    Stream,
    _permuted,
    bucket,
    make_example,
    pad,
    to_batch,
)
from model.corpus import Pair
from model.formality import FORMALITIES
from model.tokenizer import Tokenizer
from tests.model.toy import toy_pairs

EXAMPLES = st.lists(
    st.builds(
        lambda source, target: Example([1] * source, [2] * target),
        st.integers(1, 60),
        st.integers(1, 60),
    ),
    min_size=1,
    max_size=80,
)


def both_directions(*weights: float) -> list[Direction]:
    return [Direction(True, "de", weights), Direction(False, "en", weights)]


@pytest.fixture
def stream(tokenizer: Tokenizer) -> Stream:
    return Stream(
        tokenizer=tokenizer,
        corpora=[toy_pairs(40, seed=1), toy_pairs(7, seed=2)],
        directions=both_directions(3.0, 1.0),
        augment=AugmentConfig(),
        batch_tokens=100,
        seed=1,
        round_sentences=40,
    )


def drawn_in(stream: Stream, first_round: int, rounds: int) -> Counter[Pair]:
    """How often each pair, first language first, is drawn into German."""
    tokenizer = stream.tokenizer
    german = tokenizer.tag_id("de")
    return Counter(
        Pair(tokenizer.decode(example.src_ids), tokenizer.decode(example.tgt_ids))
        for number in range(first_round, first_round + rounds)
        for batch in stream.round(number)
        for example in batch
        if example.src_ids[0] == german
    )


def test_an_example_has_tag_and_eos_on_its_source_and_bos_and_eos_on_its_target(
    tokenizer: Tokenizer,
) -> None:
    example = make_example(tokenizer, "de", Pair("the dog", "der hund"))

    assert example.src_ids == [
        tokenizer.tag_id("de"),
        *tokenizer.encode("the dog"),
        tokenizer.eos_id,
    ]
    assert example.tgt_ids == [
        tokenizer.bos_id,
        *tokenizer.encode("der hund"),
        tokenizer.eos_id,
    ]


def test_rows_are_padded_at_the_end() -> None:
    assert pad([[5], [6, 7, 8]], pad_id=9).tolist() == [[5, 9, 9], [6, 7, 8]]


def test_a_batch_pads_each_side_to_its_own_longest() -> None:
    batch = to_batch([Example([5, 6], [7]), Example([5], [7, 8, 9])], pad_id=0)

    assert batch.src_ids.tolist() == [[5, 6], [5, 0]]
    assert batch.tgt_ids.tolist() == [[7, 0, 0], [7, 8, 9]]


@given(examples=EXAMPLES, batch_tokens=st.integers(20, 500), seed=st.integers())
def test_no_batch_exceeds_its_budget_but_a_single_example(
    examples: list[Example], batch_tokens: int, seed: int
) -> None:
    for batch in bucket(examples, batch_tokens, Random(seed)):
        longest = max(max(map(len, example)) for example in batch)
        assert len(batch) == 1 or longest * len(batch) <= batch_tokens


@given(examples=EXAMPLES, batch_tokens=st.integers(20, 500), seed=st.integers())
def test_every_example_is_in_one_batch(
    examples: list[Example], batch_tokens: int, seed: int
) -> None:
    lengths = Counter((len(example.src_ids), len(example.tgt_ids)) for example in examples)

    batches = bucket(examples, batch_tokens, Random(seed))

    assert all(batches)
    assert lengths == Counter(
        (len(example.src_ids), len(example.tgt_ids)) for batch in batches for example in batch
    )


def test_bucketing_wastes_little_on_padding() -> None:
    """The two sides of a pair differ in length, by up to a third."""
    random = Random(1)
    examples = [
        Example([1] * length, [2] * (length + random.randint(-length // 3, length // 3)))
        for length in random.choices(range(5, 60), k=900)
    ]

    batches = bucket(examples, 600, random)

    padded = sum(max(map(max_side, batch)) * len(batch) for batch in batches)
    assert padded < 1.1 * sum(map(max_side, examples))
    assert padded > 0.8 * 600 * len(batches)


def max_side(example: Example) -> int:
    return max(map(len, example))


@given(size=st.integers(1, 300), seed=st.integers(0, 10_000))
def test_a_permuted_place_is_a_permutation(size: int, seed: int) -> None:
    assert sorted(_permuted(offset, size, seed) for offset in range(size)) == list(range(size))


def test_each_pass_has_an_order_of_its_own_that_is_no_stride() -> None:
    orders = [[_permuted(offset, 1000, seed) for offset in range(1000)] for seed in (1, 2)]

    for order in orders:
        steps = Counter((b - a) % 1000 for a, b in pairwise(order))
        assert max(steps.values()) < 50
    assert sum(a == b for a, b in zip(*orders, strict=True)) < 20


def test_a_round_is_repeatable(stream: Stream) -> None:
    assert stream.round(3) == replace(stream).round(3)


def test_rounds_and_seeds_differ(stream: Stream) -> None:
    assert stream.round(3) != stream.round(4)
    assert stream.round(3) != replace(stream, seed=2).round(3)


def test_every_pair_is_drawn_once_a_pass(stream: Stream) -> None:
    """Rounds draw 15 of the 40 pairs and 5 of the 7, so passes end inside of rounds."""
    first, second = (Counter(pairs) for pairs in stream.corpora)

    drawn = drawn_in(stream, 0, 56)  # 21 passes of the first corpus, 40 of the second

    assert drawn == Counter({pair: 21 * n for pair, n in first.items()}) + Counter(
        {pair: 40 * n for pair, n in second.items()}
    )


def test_each_pass_draws_in_an_order_of_its_own(stream: Stream) -> None:
    """Else the same pairs would share a round, pass after pass."""
    pairs = list(dict.fromkeys(toy_pairs(40)))
    alone = replace(
        stream, corpora=[pairs], directions=both_directions(1.0), round_sentences=len(pairs)
    )

    halves = [set(drawn_in(alone, number, 1)) for number in (0, 2, 4)]  # first half of each pass

    assert halves[0] != halves[1] != halves[2]


def test_a_tiny_weight_still_draws_one_pair_a_round(stream: Stream) -> None:
    starved = replace(stream, directions=both_directions(1.0, 1e-9))

    drawn = drawn_in(starved, 0, 7)

    assert all(drawn[pair] >= 1 for pair in starved.corpora[1])


def test_corpora_are_drawn_by_weight(stream: Stream) -> None:
    drawn = drawn_in(replace(stream, round_sentences=80), 0, 1)

    assert sum(drawn[pair] for pair in set(stream.corpora[0])) == 30
    assert sum(drawn[pair] for pair in set(stream.corpora[1])) == 10


def test_a_corpus_may_feed_one_direction_only(stream: Stream, tokenizer: Tokenizer) -> None:
    one_sided = [Direction(True, "de", [1.0, 0.0]), Direction(False, "en", [0.0, 1.0])]

    for batch in replace(stream, directions=one_sided).round(0):
        for example in batch:
            source = tokenizer.decode(example.src_ids), tokenizer.decode(example.tgt_ids)
            if example.src_ids[0] == tokenizer.tag_id("de"):
                assert Pair(*source) in stream.corpora[0]
            else:
                assert Pair(*reversed(source)) in stream.corpora[1]


def test_resegmented_examples_say_the_same_in_other_tokens(
    stream: Stream, tokenizer: Tokenizer
) -> None:
    cut = replace(stream, augment=AugmentConfig(resegment=1.0))
    texts = drawn_in(stream, 0, 1)

    examples = [example for batch in cut.round(0) for example in batch]
    usual = [tokenizer.encode(tokenizer.decode(example.tgt_ids)) for example in examples]

    assert drawn_in(cut, 0, 1).keys() <= set(stream.corpora[0]) | set(stream.corpora[1])
    assert sum(drawn_in(cut, 0, 1).values()) == sum(texts.values())
    assert any(example.tgt_ids[1:-1] != ids for example, ids in zip(examples, usual, strict=True))
    assert cut.round(3) == cut.round(3)


def test_both_directions_are_drawn_each_with_its_tag(stream: Stream, tokenizer: Tokenizer) -> None:
    known = {pair for pairs in stream.corpora for pair in pairs}
    german, english = tokenizer.tag_id("de"), tokenizer.tag_id("en")
    tags: Counter[int] = Counter()
    for batch in stream.round(0):
        for example in batch:
            pair = Pair(tokenizer.decode(example.src_ids), tokenizer.decode(example.tgt_ids))
            tags[example.src_ids[0]] += 1
            assert (pair if example.src_ids[0] == german else Pair(*reversed(pair))) in known

    assert tags == {german: 20, english: 20}


def test_a_source_is_told_by_chance_how_its_german_target_addresses_the_reader(
    stream: Stream, tokenizer: Tokenizer
) -> None:
    pairs = [Pair("you see the dog", "du sieht der hund")] * 50 + [
        Pair("the dog sees you", "der hund sieht Sie")
    ] * 50
    told = replace(
        stream,
        corpora=[pairs],
        directions=both_directions(1.0),
        augment=AugmentConfig(formality=0.5),
    )
    marks = {tokenizer.formality_id(each): each for each in FORMALITIES}
    found: Counter[tuple[str, str | None]] = Counter()
    for batch in replace(told, round_sentences=200).round(0):
        for example in batch:
            target = tokenizer.decode(example.tgt_ids)
            mark = marks.get(example.src_ids[1])
            if example.src_ids[0] == tokenizer.tag_id("de"):
                found["formal" if "Sie" in target else "informal", mark] += 1
            else:
                assert mark is None

    assert set(found) == {
        *(("formal", "formal"), ("formal", None)),
        *(("informal", "informal"), ("informal", None)),
    }
    assert min(found.values()) >= 12


def test_examples_that_are_too_long_are_left_out(stream: Stream) -> None:
    short = replace(stream, max_tokens=10)

    lengths = [max_side(example) for batch in short.round(0) for example in batch]

    assert 0 < len(lengths) < 40
    assert max(lengths) <= 10


def test_batches_of_one_round_come_in_no_order_of_length(stream: Stream) -> None:
    """The optimiser must not see short sentences first and long ones last."""
    batches = replace(stream, round_sentences=400).round(0)

    lengths = [max(len(example.tgt_ids) for example in batch) for batch in batches]

    assert lengths not in (sorted(lengths), sorted(lengths, reverse=True))
