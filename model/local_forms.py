"""Numbers, dates and clock times as English and German write them, put into training pairs.

Between the two the marks of thousands and decimals change places, German counts the hours of the
day to 24, and the day of a date comes before its month. Texts have few large numbers, and of each
far too few to learn the rule from them.
"""

from datetime import date, timedelta
from random import Random

from model.corpus import Pair

LANGUAGES = ("en", "de")
"""Of the two sides, in this order."""

_MONEY = ("$", "€", "£")
_MONTHS = (
    *(("January", "Januar"), ("February", "Februar"), ("March", "März"), ("April", "April")),
    *(("May", "Mai"), ("June", "Juni"), ("July", "Juli"), ("August", "August")),
    *(("September", "September"), ("October", "Oktober"), ("November", "November")),
    ("December", "Dezember"),
)
_FIRST_DAY = date(1900, 1, 1)
_UNITS = (("km", "km"), ("kg", "kg"), ("people", "Menschen"), ("years", "Jahre"), ("%", "%"))


def local_form(random: Random) -> Pair:
    """A large number, a decimal, a price, a temperature, a date or a time, English and German."""
    numbers = (_thousands, _thousands, _decimal, _price, _quantity, _temperature)
    times = (_clock, _at_a_time, _hours, _date)
    return random.choice((*numbers, *times))(random)


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


def _temperature(random: Random) -> Pair:
    number = random.randint(-40, 40)
    return random.choice(
        (
            Pair(f"{number} degrees", f"{number} Grad"),
            Pair(f"{number} °C", f"{number} °C"),
            Pair(f"{number}°C", f"{number} °C"),
        )
    )


def _date(random: Random) -> Pair:
    """English names the month, as 03/04 is in March for some and in April for others."""
    day = _FIRST_DAY + timedelta(random.randrange(200 * 365))
    english, german = _MONTHS[day.month - 1]
    return random.choice(
        (
            Pair(f"{english} {day.day}, {day.year}", f"{day.day}. {german} {day.year}"),
            Pair(f"{day.day} {english} {day.year}", f"{day.day}. {german} {day.year}"),
            Pair(f"{day.day} {english} {day.year}", f"{day:%d.%m.%Y}"),
            Pair(f"{day:%Y-%m-%d}", f"{day:%Y-%m-%d}"),
        )
    )


def _clock(random: Random) -> Pair:
    hour, minute = random.randint(0, 23), random.choice((0, 15, 30, 45, random.randint(0, 59)))
    half = random.choice((("am", "pm"), ("a.m.", "p.m."), ("AM", "PM")))[hour // 12]
    space = "" if half in ("am", "pm") and random.random() < 0.4 else " "
    short = str((hour + 11) % 12 + 1)
    if minute == 0 and random.random() < 0.6:
        return Pair(f"{short}{space}{half}", f"{hour} Uhr")
    return Pair(f"{short}:{minute:02}{space}{half}", f"{hour}:{minute:02} Uhr")


def _at_a_time(random: Random) -> Pair:
    english, german = random.choice((_clock, _open_hour))(random)
    return Pair(f"at {english}", f"um {german}")


def _open_hour(random: Random) -> Pair:
    """An hour that may be before or after noon, which stays open in German, too."""
    hour = random.randint(1, 12)
    return Pair(random.choice((f"{hour}", f"{hour} o'clock")), f"{hour} Uhr")


def _hours(random: Random) -> Pair:
    """Two hours, the second of which says for both whether it is before noon."""
    first, last = sorted(random.sample(range(1, 12), 2))
    noon = random.choice((0, 12))
    half = "pm" if noon else "am"
    return Pair(f"from {first} to {last} {half}", f"von {first + noon} bis {last + noon} Uhr")


def _german(english: str) -> str:
    return english.replace(",", ".")
