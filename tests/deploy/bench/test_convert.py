"""CTranslate2 on converted weights chooses what the reference search chooses."""

from pathlib import Path

import pytest

from model.config import NormPosition
from model.search import greedy_search
from tests.bundles import sources, tiny_checkpoint, tiny_tokenizer

ctranslate2 = pytest.importorskip("ctranslate2")

MAX_TOKENS = 40


@pytest.mark.parametrize("tie_output", [True, False])
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_greedy_translations_are_the_same(
    tmp_path: Path, norm: NormPosition, tie_output: bool
) -> None:
    from deploy.bench.convert import convert, vocabulary  # noqa: PLC0415 - needs ctranslate2

    checkpoint, batch = tiny_checkpoint(norm, tie_output), sources(30)
    convert(checkpoint, tmp_path)
    pieces = vocabulary(checkpoint)

    translator = ctranslate2.Translator(str(tmp_path), inter_threads=1, intra_threads=1)
    found = translator.translate_batch(
        [[pieces[token_id] for token_id in source] for source in batch],
        beam_size=1,
        min_decoding_length=0,
        max_decoding_length=MAX_TOKENS,
    )

    wanted = greedy_search(checkpoint.build(), tiny_tokenizer(), batch, MAX_TOKENS)
    assert [result.hypotheses[0] for result in found] == [
        [pieces[token_id] for token_id in hypothesis.token_ids] for hypothesis in wanted
    ]


def test_tag_and_end_are_added_where_the_caller_has_no_say(tmp_path: Path) -> None:
    from deploy.bench.convert import convert, vocabulary  # noqa: PLC0415 - needs ctranslate2

    checkpoint, pieces = tiny_checkpoint(), vocabulary(tiny_checkpoint())
    convert(checkpoint, tmp_path / "plain")
    convert(checkpoint, tmp_path / "tagged", target="de")
    tag, *text, eos = (pieces[token_id] for token_id in sources(2)[1])
    assert tag == "<2de>"

    plain, tagged = (
        ctranslate2.Translator(str(tmp_path / name), inter_threads=1, intra_threads=1)
        for name in ("plain", "tagged")
    )

    options = {"beam_size": 1, "max_decoding_length": MAX_TOKENS}
    [wanted] = plain.translate_batch([[tag, *text, eos]], **options)
    [found] = tagged.translate_batch([text], **options)
    assert found.hypotheses == wanted.hypotheses
