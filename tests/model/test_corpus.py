import gzip
import lzma
from pathlib import Path

import pytest

from model.corpus import Pair, PairFilter, corpus_paths, load_corpus, read_pairs

TEXT = "one\teins\nzwei Wörter\ttwo\u2028words\r\n\tempty left\n"
PAIRS = [
    Pair("one", "eins"),
    Pair("zwei Wörter", "two\u2028words"),
    Pair("", "empty left"),
]


def keep_all() -> PairFilter:
    return PairFilter(max_words=10**6, ratio_from=10**6)


def test_a_tab_separated_file_is_read_by_line(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(TEXT.encode())

    assert list(read_pairs(path)) == PAIRS


def test_an_xz_file_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv.xz"
    path.write_bytes(lzma.compress(TEXT.encode()))

    assert list(read_pairs(path)) == PAIRS


def test_a_gz_file_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(TEXT.encode()))

    assert list(read_pairs(path)) == PAIRS


def test_two_files_are_aligned_by_line(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_bytes(b"one\na\rb\r\n\nthree")
    (tmp_path / "a.de.gz").write_bytes(gzip.compress("eins\nä\tb\n\ndrei\n".encode()))

    pairs = list(read_pairs(tmp_path / "a.en", tmp_path / "a.de.gz"))

    assert pairs == [
        Pair("one", "eins"),
        Pair("a\rb", "ä\tb"),
        Pair("", ""),
        Pair("three", "drei"),
    ]


def test_only_the_first_tab_separates(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("one\teins\tmore\n")

    assert list(read_pairs(path)) == [Pair("one", "eins\tmore")]


def test_a_line_without_tab_is_named_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("one\teins\ntwo zwei\n")

    with pytest.raises(ValueError, match=r"a\.tsv, line 2: no tab"):
        list(read_pairs(path))


@pytest.mark.parametrize(("short", "long"), [("a.en", "a.de"), ("a.de", "a.en")])
def test_files_of_unequal_length_are_named_with_the_missing_line(
    tmp_path: Path, short: str, long: str
) -> None:
    (tmp_path / short).write_text("1\n2\n")
    (tmp_path / long).write_text("1\n2\n3\n")

    with pytest.raises(ValueError, match=rf"a\.en and .*a\.de differ.*{short} has no line 3"):
        list(read_pairs(tmp_path / "a.en", tmp_path / "a.de"))


def test_a_line_that_is_not_utf8_is_named_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(b"one\teins\ntwo\tzw\xffei\n")

    with pytest.raises(ValueError, match=r"a\.tsv, line 2: .*utf-8"):
        list(read_pairs(path))


def test_aligned_text_that_is_not_utf8_is_not_called_unequal(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_bytes(b"one\n")
    (tmp_path / "a.de").write_bytes(b"\xff\n")

    with pytest.raises(ValueError, match=r"a\.de, line 1: .*utf-8"):
        list(read_pairs(tmp_path / "a.en", tmp_path / "a.de"))


def test_pairs_are_dropped_for_a_reason_and_counted() -> None:
    pair_filter = PairFilter(max_words=3, max_ratio=2.0, ratio_from=10)
    pairs = [
        Pair("good one", "guter"),
        Pair("a b c d", "e"),
        Pair("e", "a b c d"),
        Pair(" ", "something"),
        Pair("something", "\u3000"),
        Pair("1234567890", "1234"),
        Pair("1234", "1234567890"),
        Pair("1234567890", "12345"),
        Pair("123456789", "1"),
    ]

    kept = [pair for pair in pairs if pair_filter.keeps(pair)]

    assert kept == [pairs[0], pairs[7], pairs[8]]
    assert pair_filter.counts == {"kept": 3, "too long": 2, "empty": 2, "ratio": 2}


def test_a_pattern_names_several_tab_separated_files_in_order(tmp_path: Path) -> None:
    for name in ("c.tsv", "a.tsv.xz", "b.tsv"):
        (tmp_path / name).touch()

    assert corpus_paths(tmp_path, ("*.tsv", "a.*")) == [
        (tmp_path / "b.tsv",),
        (tmp_path / "c.tsv",),
        (tmp_path / "a.tsv.xz",),
    ]


def test_two_other_files_are_one_aligned_corpus(tmp_path: Path) -> None:
    for name in ("a.en", "a.de"):
        (tmp_path / name).touch()

    assert corpus_paths(tmp_path, ("a.en", "a.de")) == [(tmp_path / "a.en", tmp_path / "a.de")]


def test_a_pattern_that_names_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no file in .* matches 'missing\.tsv'"):
        corpus_paths(tmp_path, ("missing.tsv",))


def test_one_file_alone_must_be_tab_separated(tmp_path: Path) -> None:
    (tmp_path / "a.en").touch()

    with pytest.raises(ValueError, match=r"'a\.en'.*neither"):
        corpus_paths(tmp_path, ("a.en",))


def test_a_corpus_is_loaded_through_its_filter(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("one\teins\n\tx\n")
    (tmp_path / "b.tsv").write_text("two\tzwei\n")
    pair_filter = PairFilter()

    pairs = load_corpus(tmp_path, ("*.tsv",), pair_filter)

    assert pairs == [Pair("one", "eins"), Pair("two", "zwei")]
    assert pair_filter.counts == {"kept": 2, "empty": 1}


def test_a_corpus_of_which_nothing_is_kept_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("\tx\n")

    with pytest.raises(ValueError, match=r"no pair is kept of .*a\.tsv.*'empty': 1"):
        load_corpus(tmp_path, ("a.tsv",), keep_all())
