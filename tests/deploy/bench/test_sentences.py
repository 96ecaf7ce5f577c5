"""The bundled sentences, and files like them."""

from collections import Counter
from pathlib import Path

import pytest

from deploy.bench.sentences import BUNDLED, Sentence, load_sentences, spread
from tests.bundles import source_ids, tiny_tokenizer


def test_the_bundled_ones_are_many_of_mixed_length_and_none_twice() -> None:
    sentences = load_sentences(BUNDLED)
    lengths = [len(sentence.text.split()) for sentence in sentences]

    assert Counter(sentence.source for sentence in sentences) == {"en": 102, "de": 102}
    assert all({one.source, one.target} == {"en", "de"} for one in sentences)
    assert len(set(sentences)) == len(sentences)
    assert min(lengths) <= 4
    assert max(lengths) >= 25


def test_a_source_is_made_as_the_service_makes_it() -> None:
    sentence = Sentence("en", "de", "The dog sees a house.")

    assert tuple(sentence.ids(tiny_tokenizer())) == source_ids("The dog sees a house.", "de")


def test_a_line_with_other_fields_is_refused_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "wrong.tsv"
    path.write_text("en\tde\tFine.\nen\tmissing\n", encoding="utf-8")

    with pytest.raises(ValueError, match="line 2: 2 fields"):
        load_sentences(path)


def test_a_few_of_them_are_spread_over_the_list() -> None:
    sentences = load_sentences(BUNDLED)

    chosen = spread(sentences, 51)

    assert len(set(chosen)) == 51
    assert [sentences.index(one) for one in chosen] == list(range(0, 204, 4))
    assert spread(sentences, 1000) == sentences
