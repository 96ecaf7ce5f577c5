import pytest

from service.characters import check_characters
from service.errors import InvalidText


@pytest.mark.parametrize("text", ["", "ä", "\U0001f600", "\ufffe", "\x00"])
def test_every_character_is_text(text: str) -> None:
    check_characters(text, "q")


@pytest.mark.parametrize(
    ("text", "unit", "place"), [("\udc00", "DC00", 0), ("ab\ud83d", "D83D", 2)]
)
def test_half_a_surrogate_pair_is_refused_with_its_place(text: str, unit: str, place: int) -> None:
    with pytest.raises(InvalidText, match=rf"q has .*, U\+{unit}, at character {place}"):
        check_characters(text, "q")
