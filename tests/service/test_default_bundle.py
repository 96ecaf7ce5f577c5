"""The bundle that is shipped: whole, small, and as good as its manifest says."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.bundle import Bundle, load_bundle
from service.loading import load_backend
from service.offline import OfflineTranslator
from service.settings import DEFAULT_BUNDLE, Settings
from service.tokenizer import Tokenizer
from service.translation import OptionsWish
from tests.service.conftest import wait_until_ready

ROOT = Path(__file__).parents[2]
MAX_BUNDLE_BYTES = 45_000_000
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(DEFAULT_BUNDLE)


def test_it_is_whole_and_light(bundle: Bundle) -> None:
    assert sum(entry.bytes for entry in bundle.manifest.files.values()) < MAX_BUNDLE_BYTES
    assert {path.name for path in DEFAULT_BUNDLE.iterdir()} == {
        "manifest.json",
        *bundle.manifest.files,
    }


def test_it_serves_both_directions_and_names_its_sources(bundle: Bundle) -> None:
    manifest = json.loads((DEFAULT_BUNDLE / "manifest.json").read_text(encoding="utf-8"))

    assert {(d.source, d.target) for d in bundle.manifest.directions} == {
        ("de", "en"),
        ("en", "de"),
    }
    assert "tatoeba.org" in manifest["attribution"]
    assert manifest["licence"]


def test_its_scores_carry_the_signature(bundle: Bundle) -> None:
    scores = bundle.manifest.scores

    assert scores.keys() == {
        f"{name} {direction}"
        for name in ("tatoeba_test", "flores_devtest")
        for direction in ("en-de", "de-en")
    }
    for figures in scores.values():
        assert figures["precision"] == "int8"
        assert "tok:13a" in figures["bleu_signature"]


def test_what_the_readme_shows_is_what_the_service_answers() -> None:
    shown = re.findall(r"^\$ curl -s localhost:8000(\S+) -d '(.+?)'.*\n(.+)$", README, re.MULTILINE)
    assert len(shown) == 2

    def fail(error: BaseException) -> None:
        raise error

    app = create_app(Settings(), load_backend, fail)
    with TestClient(app) as client:
        wait_until_ready(client)
        for path, body, answer in shown:
            got = client.post(path, content=body, headers={"content-type": "application/json"})
            assert _comparable(got.json()) == _comparable(json.loads(answer))


@pytest.fixture(scope="module")
def translator() -> Iterator[OfflineTranslator]:
    with OfflineTranslator() as translator:
        yield translator


def ask(translator: OfflineTranslator, **options: Any) -> list[str]:
    question = ["Wo ist der Bahnhof?"]
    [translation] = translator.translate(question, "de", "en", OptionsWish(**options))
    return [candidate.text for candidate in translation.candidates]


def test_it_does_without_a_word_that_is_suppressed(translator: OfflineTranslator) -> None:
    [plain] = ask(translator)
    [without] = ask(translator, suppressed_texts=("station",))

    assert "station" in plain
    assert "station" not in without


def test_it_translates_what_stands_beside_a_script_that_it_does_not_know(
    translator: OfflineTranslator,
) -> None:
    kept = "今天天气很好。 Привет, как дела?\n- مرحبا، كيف حالك؟\n- "
    text = f"👋 Guten Morgen! {kept}Danke 🙏"
    [found] = translator.translate([text], "de", "en", OptionsWish())

    wanted = rf"👋 Good morning[.!] {re.escape(kept)}Thank.* 🙏"
    assert re.fullmatch(wanted, found.candidates[0].text), found.candidates[0].text


def test_it_goes_on_from_a_prefix_in_several_ways(translator: OfflineTranslator) -> None:
    found = ask(translator, target_prefix="Where", return_alternatives=True, num_hypotheses=3)

    assert {"Where's the station?", "Where is the station?"} < set(found)
    assert all(text.startswith("Where") for text in found)


@pytest.mark.parametrize(
    ("pair", "text", "wanted"),
    [
        (
            ("de", "en"),
            "Ich habe gestern einen langen Brief geschrieben. Der Hund schläft.",
            {"yesterday": "gestern", "letter": "Brief", "wrote": "geschrieben", "dog": "Hund"},
        ),
        (
            ("en", "de"),
            "Last week I bought a red car in Berlin.",
            {"gekauft": "bought", "ich": "I", "Auto": "car", "Berlin": "Berlin"},
        ),
    ],
)
@pytest.mark.parametrize("beam_size", [1, 4])
def test_it_knows_where_words_were_read_from(
    translator: OfflineTranslator,
    pair: tuple[str, str],
    text: str,
    wanted: dict[str, str],
    beam_size: int,
) -> None:
    """The order of the words is another one in each language."""
    options = OptionsWish(beam_size=beam_size)
    [found] = translator.translate([text], *pair, options, alignment=True)

    assert found.source_pieces
    read = {
        token.text.strip(): found.source_pieces[token.source].strip()
        for token in found.candidates[0].tokens or ()
        if token.source is not None
    }
    assert {word: read.get(word) for word in wanted} == wanted


def test_its_silent_tokens_stand_for_no_text(bundle: Bundle) -> None:
    tokenizer = Tokenizer.load(bundle)

    assert {0, 1, 2, 4, 5, 8_000, 8_001} < set(tokenizer.silent_ids)
    assert all(tokenizer.decode([token_id]) == "" for token_id in tokenizer.silent_ids[2:])


def _comparable(answer: Any) -> Any:
    """Without times, and with scores as far as another CPU's rounding leaves them alone."""
    if isinstance(answer, dict):
        return {key: _comparable(value) for key, value in answer.items() if key != "timings"}
    if isinstance(answer, list):
        return [_comparable(value) for value in answer]
    return round(answer, 2) if isinstance(answer, float) else answer
