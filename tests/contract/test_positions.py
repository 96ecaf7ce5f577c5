"""No setting lets a translation run past the positions that the graphs know."""

from export.fold import MAX_POSITIONS
from service.settings import Settings


def test_the_longest_translation_that_can_be_set_has_positions() -> None:
    field = Settings.model_fields["max_target_tokens"]
    [limit] = [bound.le for bound in field.metadata if hasattr(bound, "le")]

    assert limit <= MAX_POSITIONS
