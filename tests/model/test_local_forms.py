import re
from random import Random

from model.augment import AugmentConfig, add_noise
from model.corpus import Pair
from model.local_forms import local_form

FORMS = [local_form(Random(seed)) for seed in range(3000)]
WEATHER = Pair("The weather is nice.", "Das Wetter ist schön.")


def english_number(text: str) -> float:
    return float(re.sub(r"[^\d.]", "", text))


def german_number(text: str) -> float:
    return float(re.sub(r"[^\d,]", "", text).replace(",", "."))


def test_both_sides_say_the_same_number() -> None:
    numbers = [form for form in FORMS if "Uhr" not in form.second]

    assert len(numbers) > 1500
    for english, german in numbers:
        assert english_number(english) == german_number(german), (english, german)


def test_english_and_german_mark_thousands_and_decimals_the_other_way_round() -> None:
    text = "\n".join(f"{english} = {german}" for english, german in FORMS)

    assert re.search(r"^\d+,\d{3},\d{3} = \d+\.\d{3}\.\d{3}$", text, re.MULTILINE)
    assert re.search(r"^\d+\.\d\d = \d+,\d\d$", text, re.MULTILINE)
    assert re.search(r"^[$€£]\d+\S* = \d+\S* [$€£]$", text, re.MULTILINE)


def test_german_clocks_count_to_24() -> None:
    clocks = [form for form in FORMS if "Uhr" in form.second]

    assert len(clocks) > 500
    for english, german in clocks:
        hour, minute, half = re.findall(r"(\d+)(?::(\d+))? ?([ap])\.?m", english, re.IGNORECASE)[0]
        hours = int(hour) % 12 + (12 if half.lower() == "p" else 0)
        assert re.fullmatch(rf"(?:um )?{hours}{':' + minute if minute else ''} Uhr", german)
        assert english.startswith("at ") == german.startswith("um ")


def test_each_side_of_a_pair_gets_its_own_form() -> None:
    """Whichever of the two languages is the source."""
    config = AugmentConfig(local=1.0)
    there = [add_noise(WEATHER, config, Random(seed), "de") for seed in range(300)]
    back = [add_noise(Pair(*WEATHER[::-1]), config, Random(seed), "en") for seed in range(300)]

    assert [Pair(*pair[::-1]) for pair in back] == there
    for english, german in there:
        assert ("Uhr" in german) == bool(re.search(r"\d ?[ap]\.?m", english, re.IGNORECASE))
        assert "Uhr" not in english
