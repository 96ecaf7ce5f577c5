import re
from collections import Counter
from datetime import date, datetime
from random import Random

from model.augment import AugmentConfig, add_noise
from model.corpus import Pair
from model.local_forms import local_form

FORMS = [local_form(Random(seed)) for seed in range(3000)]
CLOCK = re.compile(r"^(?:at )?\d+(?::\d+)? ?[ap]\.?m", re.IGNORECASE)
WEATHER = Pair("The weather is nice.", "Das Wetter ist schön.")


def english_number(text: str) -> float:
    return float(re.sub(r"[^\d.-]", "", text))


def german_number(text: str) -> float:
    return float(re.sub(r"[^\d,-]", "", text).replace(",", "."))


def test_both_sides_say_the_same_number() -> None:
    numbers = [form for form in FORMS if not re.search(r"Uhr|\d\d\d\d$|^\d{4}-", form.second)]

    assert len(numbers) > 1500
    for english, german in numbers:
        assert english_number(english) == german_number(german), (english, german)


def test_english_and_german_mark_thousands_and_decimals_the_other_way_round() -> None:
    text = "\n".join(f"{english} = {german}" for english, german in FORMS)

    assert re.search(r"^\d+,\d{3},\d{3} = \d+\.\d{3}\.\d{3}$", text, re.MULTILINE)
    assert re.search(r"^\d+\.\d\d = \d+,\d\d$", text, re.MULTILINE)
    assert re.search(r"^[$€£]\d+\S* = \d+\S* [$€£]$", text, re.MULTILINE)


def test_german_clocks_count_to_24() -> None:
    clocks = [form for form in FORMS if CLOCK.search(form.first)]

    assert len(clocks) > 300
    for english, german in clocks:
        hour, minute, half = re.findall(r"(\d+)(?::(\d+))? ?([ap])\.?m", english, re.IGNORECASE)[0]
        hours = int(hour) % 12 + (12 if half.lower() == "p" else 0)
        assert re.fullmatch(rf"(?:um )?{hours}{':' + minute if minute else ''} Uhr", german)
        assert english.startswith("at ") == german.startswith("um ")


def test_hours_without_a_half_of_the_day_stay_as_they_are() -> None:
    hours = [form for form in FORMS if re.search(r"^at \d+(?: o'clock)?$", form.first)]

    assert len(hours) > 50
    for english, german in hours:
        assert german == f"um {re.findall(r'[0-9]+', english)[0]} Uhr"


def test_of_two_hours_the_half_of_the_day_is_told_once() -> None:
    spans = [form for form in FORMS if form.first.startswith("from ")]

    assert len(spans) > 100
    assert {form.first[-2:] for form in spans} == {"am", "pm"}
    for english, german in spans:
        first, last, half = re.findall(r"from (\d+) to (\d+) ([ap])m", english)[0]
        noon = 12 if half == "p" else 0
        assert int(first) < int(last)
        assert german == f"von {int(first) + noon} bis {int(last) + noon} Uhr"


def test_dates_are_the_same_day_in_all_their_forms() -> None:
    months = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"
    kinds: Counter[str] = Counter()
    for english, german in FORMS:
        if named := re.fullmatch(r"(\d+)\. (\w+) (\d{4})", german):
            month = months.split().index(named[2]) + 1
            day = date(int(named[3]), month, int(named[1]))
            forms = f"{day:%B} {day.day}, {day.year}", f"{day.day} {day:%B} {day.year}"
            kinds[f"named {forms.index(english)}"] += 1
        elif re.fullmatch(r"[\d.]{10}", german) and english[-4:] == german[-4:]:
            day = datetime.strptime(german, "%d.%m.%Y").date()
            assert english == f"{day.day} {day:%B} {day.year}"
            kinds["in figures"] += 1
        elif re.fullmatch(r"\d{4}-\d\d-\d\d", german):
            assert english == german
            kinds["year first"] += 1

    assert len(kinds) == 4
    assert min(kinds.values()) > 50


def test_some_numbers_are_below_zero() -> None:
    text = "\n".join(f"{english} = {german}" for english, german in FORMS)

    assert re.search(r"^-\d+ degrees = -\d+ Grad$", text, re.MULTILINE)
    assert re.search(r"^-\d+ ?°C = -\d+ °C$", text, re.MULTILINE)


def test_each_side_of_a_pair_gets_its_own_form() -> None:
    """Whichever of the two languages is the source."""
    config = AugmentConfig(local=1.0)
    there = [add_noise(WEATHER, config, Random(seed), "de") for seed in range(300)]
    back = [add_noise(Pair(*WEATHER[::-1]), config, Random(seed), "en") for seed in range(300)]

    assert [Pair(*pair[::-1]) for pair in back] == there
    for english, german in there:
        is_time = bool(re.search(r"\d ?[ap]\.?m|at \d", english, re.IGNORECASE))
        assert ("Uhr" in german) == is_time
        assert "Uhr" not in english
