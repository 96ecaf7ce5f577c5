import json
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.service.conftest import MakeClient
from tests.service.stub_engine import StubEngine

REQUEST = {"texts": ["Hallo Welt. Wie geht es?"], "source": "de", "target": "en"}


def detail(client: TestClient, **changes: Any) -> str:
    reply = client.post("/v1/translate", json={**REQUEST, **changes})
    assert reply.status_code in (413, 422), reply.text
    return str(reply.json()["detail"])


def test_a_translation_comes_with_score_reason_and_counts(client: TestClient) -> None:
    reply = client.post("/v1/translate", json=REQUEST).json()

    assert reply["model"] == "stub"
    assert reply["translations"] == [
        {
            "text": "HALLO WELT. WIE GEHT ES?",
            "score": -2.0,
            "finish_reason": "stop",
            "source_tokens": 23,
            "target_tokens": 23,
        }
    ]


def test_timings_are_those_of_the_slowest_segment(client: TestClient) -> None:
    timings = client.post("/v1/translate", json=REQUEST).json()["timings"]

    assert timings["queue_seconds"] == 0.25
    assert timings["decode_seconds"] == 0.5
    assert timings["total_seconds"] > 0.0


def test_translations_keep_the_order_of_the_texts(client: TestClient) -> None:
    texts = [f"Text {number}. Und noch einer." for number in range(50)]

    reply = client.post("/v1/translate", json={**REQUEST, "texts": texts}).json()

    assert [each["text"] for each in reply["translations"]] == [text.upper() for text in texts]


def test_line_ends_lists_and_spaces_survive(client: TestClient) -> None:
    text = "  Titel\r\n\r\n- eins\n- zwei. Drei\t\n"

    reply = client.post("/v1/translate", json={**REQUEST, "texts": [text]}).json()

    assert reply["translations"][0]["text"] == text.upper()


@pytest.mark.parametrize("text", ["", "  ", "😀", "3.14", "\x00", "Привет, как дела?", "- 你好\n"])
def test_a_text_with_nothing_to_translate_comes_back_unchanged(
    client: TestClient, engine: StubEngine, text: str
) -> None:
    reply = client.post("/v1/translate", json={**REQUEST, "texts": [text]}).json()

    assert reply["translations"][0]["text"] == text
    assert reply["translations"][0]["finish_reason"] == "unchanged"
    assert engine.jobs == []


def test_a_nul_inside_a_text_is_translated_like_any_character(client: TestClient) -> None:
    reply = client.post("/v1/translate", json={**REQUEST, "texts": ["a\x00b"]}).json()

    assert reply["translations"][0]["text"] == "A\x00B"


def test_alternatives_come_when_more_hypotheses_are_asked(client: TestClient) -> None:
    request = {**REQUEST, "options": {"num_hypotheses": 3}}

    best = client.post("/v1/translate", json=request).json()["translations"][0]

    assert [other["text"] for other in best["alternatives"]] == [
        "HALLO WELT.! WIE GEHT ES?!",
        "HALLO WELT.!! WIE GEHT ES?!!",
    ]
    assert [other["score"] for other in best["alternatives"]] == [-4.0, -6.0]


def test_a_cut_sentence_makes_the_reason_length(client: TestClient, engine: StubEngine) -> None:
    engine.finish_reason = "length"

    reply = client.post("/v1/translate", json=REQUEST).json()

    assert reply["translations"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("source", [{}, {"source": "auto"}])
def test_without_a_source_the_language_of_each_text_is_detected(
    client: TestClient, source: dict[str, str]
) -> None:
    texts = ["Das Wetter ist heute schön.", "The weather is nice today."]

    reply = client.post("/v1/translate", json={"texts": texts, "target": "en", **source}).json()

    german, english = reply["translations"]
    assert (german["detected_source"], german["text"]) == ("de", texts[0].upper())
    assert (english["detected_source"], english["text"]) == ("en", texts[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"texts": "Hallo"}, "texts: Input should be a valid list"),
        ({"texts": []}, "texts: List should have at least 1 item after validation, not 0"),
        ({"texts": [1]}, "texts.0: Input should be a valid string"),
        ({"target": None}, "target: Input should be a valid string"),
        ({"text": "x"}, "text: Extra inputs are not permitted"),
        ({"source": "fr"}, "'fr' is not supported; languages: de, en"),
        ({"target": "auto"}, "'auto' is not supported; languages: de, en"),
        ({"texts": ["x" * 80]}, "a segment has 80 tokens and cannot be split; the limit is 64"),
    ],
)
def test_a_wrong_field_is_refused_with_its_name(
    client: TestClient, changes: dict[str, Any], message: str
) -> None:
    assert detail(client, **changes) == message


@pytest.mark.parametrize(
    ("settings", "texts", "message"),
    [
        ({"max_text_characters": 7}, ["abcd", "efgh"], "the texts have 8 characters; .* 7"),
        ({"max_texts": 1}, ["a", "b"], "the request has 2 texts; the limit is 1"),
        (
            {"max_queue_tokens": 80, "max_source_tokens": 80},
            ["x" * 50, "y" * 50],
            "the request has 104 tokens; the limit is 80",
        ),
    ],
)
def test_limits_are_told_with_the_value(
    make_client: MakeClient, settings: dict[str, int], texts: list[str], message: str
) -> None:

    assert re.fullmatch(message, detail(make_client(**settings), texts=texts))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is no valid JSON: Expecting value: line 1 column 1 (char 0)"),
        (b'{"texts": [', "the body is no valid JSON: Expecting value: line 1 column 12 (char 11)"),
        (b"\xff\xfe\xff", "the body is no valid JSON: 'utf-16-le' codec can't decode"),
        (b'{"texts": NaN}', "the body is no valid JSON: NaN is no JSON"),
        (b"[" * 100_000, "the body is no valid JSON: it is nested too deeply"),
        (b"[]", "body: Input should be a valid dictionary or instance of TranslateBody"),
        (
            b'{"texts": ["\\ud800"], "target": "en"}',
            "texts.0 has half a surrogate pair, U+D800, at character 0",
        ),
    ],
)
def test_a_body_that_is_no_request_is_explained(
    client: TestClient, body: bytes, message: str
) -> None:
    reply = client.post("/v1/translate", content=body)

    assert reply.status_code == 422
    assert reply.json()["detail"].startswith(message)


@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded", "text/plain"])
def test_json_is_read_whatever_its_content_type(
    client: TestClient, content_type: str | None
) -> None:
    headers = {"content-type": content_type} if content_type else {}

    reply = client.post("/v1/translate", content=json.dumps(REQUEST), headers=headers)

    assert reply.status_code == 200


def test_the_model_is_described(client: TestClient) -> None:
    (model,) = client.get("/v1/models").json()["models"]

    assert (model["name"], model["version"], model["precision"]) == ("stub", "1.0", "int8")
    assert model["sha256"] == "ab" * 32
    assert model["languages"][0] == {
        "code": "de",
        "name": "German",
        "targets": ["de", "en"],
        "formalities": ["formal", "informal"],
    }
    assert model["scores"] == {"tatoeba": {"bleu": 30.0}}


@pytest.mark.parametrize(
    ("formality", "mark"), [("default", []), ("formal", [3]), ("informal", [4])]
)
def test_a_form_of_address_reaches_every_segment(
    client: TestClient, engine: StubEngine, formality: str, mark: list[int]
) -> None:
    request = {"texts": ["You. And you."], "source": "en", "target": "de", "formality": formality}

    reply = client.post("/v1/translate", json=request)

    assert reply.json()["translations"][0]["text"] == "YOU. AND YOU."
    assert [list(job.source_ids[: 1 + len(mark)]) for job in engine.jobs] == [[2, *mark]] * 2


@pytest.mark.parametrize("text", ["Wie geht es?", ""])
def test_a_form_of_address_is_refused_where_there_is_no_choice(
    client: TestClient, text: str
) -> None:
    reply = client.post("/v1/translate", json={**REQUEST, "texts": [text], "formality": "formal"})

    assert reply.status_code == 422
    assert reply.json()["type"] == "/docs#unsupported-formality"
    assert "it may be: default" in reply.json()["detail"]


def test_the_models_say_which_forms_of_address_there_are(client: TestClient) -> None:
    [model] = client.get("/v1/models").json()["models"]

    forms = {language["code"]: language["formalities"] for language in model["languages"]}
    assert forms == {"de": ["formal", "informal"], "en": []}


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/translate", REQUEST), ("/translate", {"q": "Ja", "source": "de", "target": "en"})],
)
def test_the_engine_is_told_the_address_of_the_client(
    client: TestClient, engine: StubEngine, path: str, body: dict[str, Any]
) -> None:
    assert client.post(path, json=body).is_success

    assert {job.client for job in engine.jobs} == {"testclient"}
