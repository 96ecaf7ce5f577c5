"""Events of a growing text: in reading order, never taken back, whole in the end."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.segment import SegmentedText, segment_text
from service.streaming import BROKEN, Delta, Detokenizer, Event, SegmentEnd, TextStream
from tests.service.stub_engine import StubTokenizer

TOKENIZER = StubTokenizer()


def stream_of(text: str) -> tuple[SegmentedText, TextStream]:
    segmented = segment_text(
        text, "de", encode=TOKENIZER.encode, knows=TOKENIZER.knows, max_tokens=100
    )
    return segmented, TextStream(3, segmented, TOKENIZER.decode)


def tokens(text: str) -> list[int]:
    return TOKENIZER.encode(text)


def decode_bytes(token_ids: list[int]) -> str:
    return bytes(token_ids).decode(errors="replace")


def test_what_is_before_the_first_sentence_comes_at_once() -> None:
    _, stream = stream_of("\n  - Eins. ")

    assert list(stream.begin()) == [Delta(index=3, text="\n  - ")]


def test_a_text_without_a_sentence_comes_at_once_and_whole() -> None:
    _, stream = stream_of("42 :-)\n")

    assert list(stream.begin()) == [Delta(index=3, text="42 :-)\n")]


def test_tokens_become_text_as_they_come() -> None:
    _, stream = stream_of("Eins.")

    assert list(stream.begin()) == []
    assert list(stream.feed(0, tokens("On"))) == [Delta(index=3, text="On")]
    assert list(stream.feed(0, tokens("One"))) == [Delta(index=3, text="e")]
    assert list(stream.end(0, "One.")) == [
        SegmentEnd(index=3, segment=0, source="Eins.", text="One."),
        Delta(index=3, text="."),
    ]


def test_a_later_sentence_is_held_until_those_before_it_are_done() -> None:
    _, stream = stream_of("Eins. Zwei. Drei.")

    assert list(stream.feed(1, tokens("Tw"))) == []
    assert list(stream.end(2, "Three.")) == [
        SegmentEnd(index=3, segment=2, source="Drei.", text="Three.")
    ]
    *_, delta = stream.end(0, "One.")
    assert delta == Delta(index=3, text="One. Tw")
    *_, delta = stream.end(1, "Two.")
    assert delta == Delta(index=3, text="o. Three.")


def test_a_character_of_several_bytes_comes_when_it_is_whole() -> None:
    detokenizer, seen = Detokenizer(decode_bytes), []  # type: ignore[arg-type]
    letters = list("Ü😀!".encode())
    for count in range(1, len(letters) + 1):
        detokenizer.feed(letters[:count])
        seen.append(detokenizer.text)

    assert seen == ["", "Ü", "Ü", "Ü", "Ü", "Ü😀", "Ü😀!"]


@pytest.mark.parametrize("broken", [b"a\xf0\x9fb", b"\xffa", b"a\xe2\x82"])
def test_bytes_that_are_no_character_are_shown_as_such_in_the_end(broken: bytes) -> None:
    detokenizer, before = Detokenizer(decode_bytes), ""  # type: ignore[arg-type]
    for count in range(1, len(broken) + 1):
        detokenizer.feed(list(broken[:count]))
        assert detokenizer.text.startswith(before)
        before = detokenizer.text

    detokenizer.end(decode_bytes(list(broken)))
    assert detokenizer.text.startswith(before)
    assert BROKEN in detokenizer.text


@given(st.integers(0, 2**32), st.lists(st.sampled_from(["Eins.", "Zwei", "?", "\n", " "])))
def test_the_pieces_are_the_translation_in_whatever_order_segments_grow(
    seed: int, words: list[str]
) -> None:
    segmented, stream = stream_of(" ".join(words))
    generator = random.Random(seed)
    wanted = [
        segment.text.upper() + "!" * generator.randint(0, 3) for segment in segmented.segments
    ]
    lengths = [0] * len(wanted)
    events: list[Event] = [*stream.begin()]
    while remaining := [n for n, text in enumerate(wanted) if lengths[n] <= len(text)]:
        segment = generator.choice(remaining)
        lengths[segment] += 1
        if lengths[segment] <= len(wanted[segment]):
            events += stream.feed(segment, tokens(wanted[segment][: lengths[segment]]))
        else:
            events += stream.end(segment, wanted[segment])

    deltas = [event.text for event in events if isinstance(event, Delta)]
    assert "".join(deltas) == segmented.join(wanted)
    assert "" not in deltas
    ends = {event.segment: event.text for event in events if isinstance(event, SegmentEnd)}
    assert ends == dict(enumerate(wanted))
