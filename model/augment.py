"""Make the source of a training pair look like what users type."""

from dataclasses import dataclass
from random import Random

from model.config import Config, require
from model.copying import keep_to_the_letter, put_in
from model.corpus import Pair
from model.local_forms import LANGUAGES, local_form


@dataclass(frozen=True, kw_only=True)
class AugmentConfig(Config):
    """Chances, each of [0, 1], that a drawn pair is changed.

    Attributes:
        join: joined with the pair drawn after it, both sides, so that the model meets
            more than one sentence; a joined pair may be joined once more.
        lower, upper: the source loses its capitals, or gets nothing else (then the target too).
        drop_mark: the source loses its final full stop.
        swap: two neighbouring letters of the source change places.
        copy: both sides get the same address, placeholder or number, see `model.copying`.
        local: each side gets the same large number, decimal, price or time of the day as its
            language writes it, see `model.local_forms`; for English and German only.
        formality: a source is told how its target addresses the reader, where that shows.
        resegment: both sides are cut into tokens another way than the likeliest.
    """

    join: float = 0.0
    lower: float = 0.0
    upper: float = 0.0
    drop_mark: float = 0.0
    swap: float = 0.0
    copy: float = 0.0
    local: float = 0.0
    formality: float = 0.0
    resegment: float = 0.0

    def __post_init__(self) -> None:
        for name, chance in self.to_dict().items():
            require(0.0 <= chance <= 1.0, f"augment.{name} is {chance}; it must be in [0, 1]")


def add_noise(pair: Pair, config: AugmentConfig, random: Random, target_language: str) -> Pair:
    """Change the source (`pair.first`), and where the case demands it the target, by chance."""
    what = random.random()
    if what < config.copy:
        return keep_to_the_letter(pair, random)  # unspoilt by the noise below
    if what < config.copy + config.local:
        english, german = local_form(random)
        is_into_german = target_language == LANGUAGES[1]
        form = Pair(english, german) if is_into_german else Pair(german, english)
        return put_in(pair, form, random)
    source, target = pair
    if random.random() < config.drop_mark:
        source = source.removesuffix(".")
    if random.random() < config.swap:
        source = _swap_letters(source, random)
    case = random.random()
    if case < config.lower:
        source = source.lower()
    elif case < config.lower + config.upper:
        source, target = source.upper(), target.upper()
    return Pair(source, target)


def _swap_letters(text: str, random: Random) -> str:
    """Exchange two neighbouring letters inside a word, if there are any."""
    places = [place for place in range(1, len(text) - 1) if text[place : place + 2].isalpha()]
    if not places:
        return text
    place = random.choice(places)
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]


def join(pairs: list[Pair], config: AugmentConfig, random: Random) -> list[Pair]:
    """Join neighbours of `pairs` into longer examples, by chance."""
    joined: list[Pair] = []
    may_grow = 0
    for pair in pairs:
        if may_grow and random.random() < config.join:
            before = joined[-1]
            joined[-1] = Pair(f"{before.first} {pair.first}", f"{before.second} {pair.second}")
            may_grow -= 1
        else:
            joined.append(pair)
            may_grow = 2
    return joined
