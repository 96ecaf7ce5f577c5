import pytest

from service import errors


@pytest.mark.parametrize(
    "error",
    [
        errors.TooManyTexts(value=200, limit=128),
        errors.SegmentTooLong(value=200, limit=128),
        errors.BodyTooLarge(value=200, limit=128),
        errors.TextTooLong(value=200, limit=128),
        errors.TooManyTokens(value=200, limit=128),
        errors.QueueFull(value=200, limit=128),
        errors.WaitTooLong(value=200, limit=128),
        errors.DeadlineExceeded(value=200, limit=128),
    ],
)
def test_messages_carry_limit_and_value(error: errors.ServiceError) -> None:
    assert "200" in str(error)
    assert "128" in str(error)
    assert (error.value, error.limit) == (200, 128)


def test_the_docstring_draws_every_error() -> None:
    names = {name for name, value in vars(errors).items() if isinstance(value, type)}

    assert names <= set((errors.__doc__ or "").replace("─", " ").split())
