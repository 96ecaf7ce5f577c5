"""Numbers and clock times as English and German write them, put into training pairs.

Between the two the marks of thousands and decimals change places, and German counts the hours of
the day to 24. Texts have few large numbers, and of each far too few to learn the rule from them.
"""

from random import Random

from model.corpus import Pair

LANGUAGES = ("en", "de")
"""Of the two sides, in this order."""

_MONEY = ("$", "€", "£")
_UNITS = (("km", "km"), ("kg", "kg"), ("people", "Menschen"), ("years", "Jahre"), ("%", "%"))


def local_form(random: Random) -> Pair:
    """A large number, a decimal, a price or a time of the day, English and German."""
    kinds = (_thousands, _thousands, _decimal, _price, _clock, _at_a_time, _quantity)
    return random.choice(kinds)(random)


def _thousands(random: Random) -> Pair:
    number = random.randint(1, 999) * 1000 ** random.randint(1, 3)
    if random.random() < 0.6:
        number += random.randint(0, number)
    return Pair(f"{number:,}", _german(f"{number:,}"))


def _decimal(random: Random) -> Pair:
    number = f"{random.randint(0, 10 ** random.randint(1, 4)):,}"
    digits = "".join(random.choices("0123456789", k=random.randint(1, 3)))
    return Pair(f"{number}.{digits}", f"{_german(number)},{digits}")


def _price(random: Random) -> Pair:
    english, german = random.choice((_thousands, _decimal))(random)
    sign = random.choice(_MONEY)
    return Pair(f"{sign}{english}", f"{german} {sign}")


def _quantity(random: Random) -> Pair:
    english, german = random.choice((_thousands, _decimal))(random)
    units = random.choice(_UNITS)
    space = "" if units[0] == "%" else " "
    return Pair(f"{english}{space}{units[0]}", f"{german} {units[1]}")


def _clock(random: Random) -> Pair:
    hour, minute = random.randint(0, 23), random.choice((0, 15, 30, 45, random.randint(0, 59)))
    half = random.choice((("am", "pm"), ("a.m.", "p.m."), ("AM", "PM")))[hour // 12]
    space = "" if half in ("am", "pm") and random.random() < 0.4 else " "
    short = str((hour + 11) % 12 + 1)
    if minute == 0 and random.random() < 0.6:
        return Pair(f"{short}{space}{half}", f"{hour} Uhr")
    return Pair(f"{short}:{minute:02}{space}{half}", f"{hour}:{minute:02} Uhr")


def _at_a_time(random: Random) -> Pair:
    english, german = _clock(random)
    return Pair(f"at {english}", f"um {german}")


def _german(english: str) -> str:
    return english.replace(",", ".")
