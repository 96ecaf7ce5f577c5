"""Texts are of mixed length, and of one language each."""

from random import Random

from deploy.bench.sentences import BUNDLED, load_sentences
from deploy.loadtest.texts import mixed_texts

SENTENCES = load_sentences(BUNDLED)


def test_texts_are_short_and_long_in_both_directions() -> None:
    texts = mixed_texts(SENTENCES, 1_000, Random(1))

    lengths = sorted(len(text.text) for text in texts)
    assert len(texts) == 1_000
    assert lengths[-1] > 10 * lengths[0]
    assert {text.source for text in texts} == {"en", "de"}


def test_all_sentences_of_a_text_are_of_its_direction() -> None:
    direction = {one.text: (one.source, one.target) for one in SENTENCES}

    for text in mixed_texts(SENTENCES, 50, Random(1)):
        parts = [one for one in direction if one in text.text]
        assert parts
        assert {direction[part] for part in parts} == {(text.source, text.target)}
