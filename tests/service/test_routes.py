import json
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.engine.options import DecodingOptions, Sampling
from tests.service.conftest import MakeClient
from tests.service.stub_engine import SILENT_IDS, StubEngine, StubTokenizer

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


@pytest.mark.parametrize("text", ["", "  ", "😀", "3.14", "\x00"])
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


def test_options_reach_the_engine_and_the_rest_is_default(
    client: TestClient, engine: StubEngine
) -> None:
    options = {"beam_size": 2, "max_target_tokens": 7}
    client.post("/v1/translate", json={**REQUEST, "texts": ["Hallo"], "options": options})
    client.post("/v1/translate", json={**REQUEST, "texts": ["Hallo"]})

    wished, default = (job.options for job in engine.jobs)
    assert (wished.beam_size, wished.max_target_tokens, wished.length_penalty) == (2, 7, 0.6)
    assert (default.beam_size, default.max_target_tokens) == (4, 26)  # 16 + 2 * 5 tokens


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 9}, "beam_size is 9; the limit is 1 to 8"),
        ({"beam_size": 0}, "beam_size is 0; the limit is 1 to 8"),
        ({"beam_size": 1, "num_hypotheses": 2}, "beam_size is 1; the limit is 2 to 8"),
        ({"num_hypotheses": 5}, "num_hypotheses is 5; the limit is 1 to 4"),
        ({"length_penalty": 11.0}, "length_penalty is 11.0; the limit is 0.0 to 10.0"),
        ({"max_target_tokens": 101}, "max_target_tokens is 101; the limit is 1 to 100"),
        ({"beam_size": "4"}, "options.beam_size: Input should be a valid integer"),
        ({"temprature": 1}, "options.temprature: Extra inputs are not permitted"),
        (
            {"length_penalty_formula": "cubic"},
            "options.length_penalty_formula: Input should be 'plain' or 'gnmt'",
        ),
        ({"temperature": 0.0}, "temperature is 0.0; the limit is 0.01 to 10.0"),
    ],
)
def test_an_option_outside_its_range_is_refused(
    client: TestClient, options: dict[str, Any], message: str
) -> None:
    assert detail(client, options=options) == message


def test_every_option_reaches_the_engine(client: TestClient, engine: StubEngine) -> None:
    options = {
        "num_hypotheses": 2,
        "length_penalty_formula": "gnmt",
        "max_target_ratio": 1.0,
        "min_target_tokens": 3,
        "repetition_penalty": 1.2,
        "no_repeat_ngram_size": 3,
        "suppressed_texts": ["ab", "c"],
        "target_prefix": "HA",
        "temperature": 0.7,
        "top_k": 5,
        "top_p": 0.9,
        "seed": 11,
    }

    reply = client.post("/v1/translate", json={**REQUEST, "texts": ["Hallo"], "options": options})

    assert reply.json()["seed"] == 11
    encode = StubTokenizer().encode
    assert engine.jobs[0].options == DecodingOptions(
        beam_size=2,
        num_hypotheses=2,
        length_penalty=0.6,
        length_penalty_formula="gnmt",
        max_target_tokens=16 + 5 + 2,
        min_target_tokens=3,
        repetition_penalty=1.2,
        no_repeat_ngram_size=3,
        suppressed_sequences=(tuple(encode("ab")), tuple(encode("c"))),
        silent_ids=SILENT_IDS,
        target_prefix=tuple(encode("HA")),
        sampling=Sampling(seed=11, temperature=0.7, top_k=5, top_p=0.9),
    )


def test_a_seed_that_is_left_out_is_drawn_and_told(client: TestClient, engine: StubEngine) -> None:
    request = {**REQUEST, "options": {"temperature": 1.0}}

    seeds = [client.post("/v1/translate", json=request).json()["seed"] for _ in range(2)]

    drawn = [job.options.sampling.seed for job in engine.jobs if job.options.sampling]
    assert drawn == [seeds[0]] * 2 + [seeds[1]] * 2  # two sentences each
    assert seeds[0] != seeds[1]


def test_without_sampling_there_is_no_seed(client: TestClient) -> None:
    assert "seed" not in client.post("/v1/translate", json=REQUEST).json()


def test_options_that_do_not_go_together_are_a_problem_of_their_own(client: TestClient) -> None:
    options = {"beam_size": 4, "top_k": 5}

    problem = client.post("/v1/translate", json={**REQUEST, "options": options}).json()

    assert problem["type"] == "/docs#incompatible-options"
    assert (problem["value"], problem["limit"]) == (4, 1)


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
