"""The promise of the engine: a text is translated to the same bytes alone and in any company."""

import random

import pytest

from service.engine.options import DecodingOptions
from tests.bundles import sources
from tests.parity.conftest import Asked, LoadRunner, decode
from tests.service.engine.driving import random_rules, random_sampling


def ask(seed: int, count: int) -> list[Asked]:
    """Segments of all lengths and options."""
    generator, asked = random.Random(seed), []
    for tag_id, *text_ids, eos_id in sources(count, seed):
        # Long ones change the capacity under the others.
        longer = text_ids * (6 if generator.random() < 0.15 else 1)
        beam_size = generator.choice([1, 1, 1, 2, 4, 5])
        options = DecodingOptions(
            beam_size=beam_size,
            num_hypotheses=beam_size,
            length_penalty=generator.choice([0.0, 0.6, 1.0, 1.5]),
            max_target_tokens=generator.choice([3, 12, 40]),
            sampling=random_sampling(generator) if generator.random() < 0.3 else None,
            **random_rules(generator),
        )
        asked.append(((tag_id, *longer[:248], eos_id), options))
    return asked


@pytest.mark.parametrize("precision", ["float32", "int8", "float16"])
@pytest.mark.parametrize("seed", [1, 2])  # so many workers, too
def test_tokens_and_scores_are_the_same_to_the_last_bit(
    load_runner: LoadRunner, precision: str, seed: int
) -> None:
    runner, asked = load_runner(precision), ask(seed, 40)
    generator = random.Random(seed)

    arrivals = [generator.randrange(60) for _ in asked]
    together = decode(runner, asked, arrivals, num_workers=seed)

    for one, hypotheses in zip(asked, together, strict=True):
        assert decode(runner, [one]) == [hypotheses]


@pytest.mark.parametrize("precision", ["float32", "int8", "float16"])
def test_a_segment_of_the_greatest_length_is_translated_as_alone(
    load_runner: LoadRunner, precision: str
) -> None:
    runner = load_runner(precision)
    longest = (5, *[280 + number % 100 for number in range(254)], 3)
    one = (longest, DecodingOptions(max_target_tokens=300))

    together = decode(runner, [*ask(3, 5), one])

    assert decode(runner, [one]) == [together[-1]]
