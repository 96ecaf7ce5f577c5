import pytest

from model.corpus import Pair
from model.formality import Formality, formality


@pytest.mark.parametrize(
    ("english", "german", "expected"),
    [
        ("Please click the button.", "Bitte klicken Sie auf die Schaltfläche.", "formal"),
        ("I will help you.", "Ich helfe Ihnen.", "formal"),
        ("Is this your car?", "Ist das Ihr Auto?", "formal"),
        ("You are late.", "Sie kommen zu spät.", "formal"),
        ("They are late.", "Sie kommen zu spät.", None),
        ("She sings. He listens.", "Sie singt. Er hört zu.", None),
        ("Her dog barks.", "Ihr Hund bellt.", None),
        ("He says: she is late.", "Er sagt: „Sie kommt zu spät.“", None),
        ("You are late.", "Du kommst zu spät.", "informal"),
        ("I will help you.", "Ich helfe dir.", "informal"),
        ("Is this your car?", "Ist das dein Auto?", "informal"),
        ("I saw you all.", "Ich habe euch alle gesehen.", "informal"),
        ("I see her and them.", "Ich sehe sie und ihnen folge ich.", None),
        ("The duration is known.", "Die Dauer ist bekannt.", None),
        ("You and you", "Sie da und du da, ich meine Sie", None),
        ("", "", None),
    ],
)
def test_the_form_of_address_is_read_from_the_german_side(
    english: str, german: str, expected: Formality | None
) -> None:
    assert formality(Pair(english, german)) == expected
