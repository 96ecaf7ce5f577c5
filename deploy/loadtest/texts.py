"""Texts as users send them: one sentence mostly, and sometimes a paragraph."""

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from random import Random

from deploy.bench.sentences import Sentence

NUM_SENTENCES = (1, 1, 1, 1, 1, 1, 2, 3, 4, 8)  # of a text; each is as likely


def mixed_texts(sentences: Sequence[Sentence], count: int, random: Random) -> list[Sentence]:
    """`count` texts of one to eight sentences that follow each other, directions as they come."""
    direction = attrgetter("source", "target")
    groups = [list(group) for _, group in groupby(sorted(sentences, key=direction), direction)]
    return [_text(random.choice(groups), random) for _ in range(count)]


def _text(group: Sequence[Sentence], random: Random) -> Sentence:
    first, length = random.randrange(len(group)), random.choice(NUM_SENTENCES)
    chosen = [group[(first + number) % len(group)].text for number in range(length)]
    return group[first]._replace(text=" ".join(chosen))
