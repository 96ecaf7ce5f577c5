"""What is text at all."""

from service.errors import InvalidText


def check_characters(text: str, field: str) -> None:
    """Refuse half a surrogate pair, which JSON can spell and no encoding can write.

    Raises:
        InvalidText: names the field, the code unit and its place.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        unit = f"U+{ord(text[error.start]):04X}"
        raise InvalidText(
            f"{field} has half a surrogate pair, {unit}, at character {error.start}"
        ) from None
