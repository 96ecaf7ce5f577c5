import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.service.conftest import MakeClient
from tests.service.stub_engine import StubEngine

REQUEST = {"q": "Hallo Welt", "source": "de", "target": "en"}
FORM = "application/x-www-form-urlencoded"


def error_of(client: TestClient, **changes: Any) -> str:
    fields = {name: value for name, value in {**REQUEST, **changes}.items() if value is not ...}
    reply = client.post("/translate", json=fields)
    assert reply.status_code == 400
    assert set(reply.json()) == {"error"}
    return str(reply.json()["error"])


@pytest.mark.parametrize(
    "request_arguments",
    [
        {"json": REQUEST},
        {"data": REQUEST},
        {"files": {name: (None, value) for name, value in REQUEST.items()}},
        {"params": {**REQUEST, "format": "text", "api_key": "k"}},
        {"content": json.dumps(REQUEST)},
        {"content": json.dumps(REQUEST), "headers": {"content-type": FORM}},
        {"content": "q=Hallo+Welt&source=de&target=en"},
        {"content": "q=Hallo%20Welt", "params": {"source": "de", "target": "en"}},
    ],
    ids=["json", "form", "multipart", "query", "bare json", "curl -d", "bare form", "mixed"],
)
def test_fields_are_read_wherever_clients_put_them(
    client: TestClient, request_arguments: dict[str, Any]
) -> None:
    reply = client.post("/translate", **request_arguments)

    assert reply.json() == {"translatedText": "HALLO WELT"}


def test_an_array_is_answered_by_an_array_in_order(client: TestClient) -> None:
    reply = client.post("/translate", json={**REQUEST, "q": ["eins", "", "zwei", "😀"]})

    assert reply.json() == {"translatedText": ["EINS", "", "ZWEI", "😀"]}


def test_an_array_of_one_stays_an_array(client: TestClient) -> None:
    reply = client.post("/translate", json={**REQUEST, "q": ["eins"]})

    assert reply.json() == {"translatedText": ["EINS"]}


def test_a_form_has_no_arrays_its_first_value_counts(client: TestClient) -> None:
    reply = client.post("/translate", data={**REQUEST, "q": ["eins", "zwei"]})

    assert reply.json() == {"translatedText": "EINS"}


def test_line_ends_of_a_form_are_normalised(client: TestClient) -> None:
    reply = client.post("/translate", data={**REQUEST, "q": "eins\r\nzwei\r"})

    assert reply.json() == {"translatedText": "EINS\nZWEI\n"}


def test_with_auto_each_text_is_detected_for_itself(client: TestClient) -> None:
    texts = ["Das Wetter ist heute schön.", "The weather is nice today.", "123"]

    reply = client.post("/translate", json={"q": texts, "source": "auto", "target": "en"}).json()

    assert reply["translatedText"] == [texts[0].upper(), texts[1], texts[2]]
    german, english, neither = reply["detectedLanguage"]
    assert (german["language"], english["language"]) == ("de", "en")
    assert 90 < german["confidence"] <= 100
    assert neither["confidence"] == 0.0


def test_with_auto_a_string_has_one_detection(client: TestClient) -> None:
    request = {"q": "Guten Morgen, liebe Leute", "source": "auto", "target": "en"}

    reply = client.post("/translate", json=request).json()

    assert reply["detectedLanguage"]["language"] == "de"


def test_alternatives_come_when_they_are_asked(client: TestClient) -> None:
    one = client.post("/translate", json={**REQUEST, "alternatives": 2}).json()
    array = client.post("/translate", json={**REQUEST, "q": ["a"], "alternatives": 1}).json()
    form = client.post("/translate", data={**REQUEST, "alternatives": "1"}).json()

    assert one["alternatives"] == ["HALLO WELT!", "HALLO WELT!!"]
    assert array["alternatives"] == [["A!"]]
    assert form["alternatives"] == ["HALLO WELT!"]


def test_the_same_language_changes_nothing(client: TestClient, engine: StubEngine) -> None:
    reply = client.post("/translate", json={**REQUEST, "target": "de"})

    assert reply.json() == {"translatedText": "Hallo Welt"}
    assert engine.jobs == []


@pytest.mark.parametrize("source", ["de", "auto"])
def test_a_script_that_the_model_does_not_know_comes_back_as_it_is(
    client: TestClient, engine: StubEngine, source: str
) -> None:
    reply = client.post("/translate", json={**REQUEST, "q": ["你好。", "Ja"], "source": source})

    assert reply.json()["translatedText"] == ["你好。", "JA"]
    assert len(engine.jobs) == 1


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"q": ...}, "Invalid request: missing q parameter"),
        ({"q": ""}, "Invalid request: missing q parameter"),
        ({"q": []}, "Invalid request: missing q parameter"),
        ({"source": ...}, "Invalid request: missing source parameter"),
        ({"target": None}, "Invalid request: missing target parameter"),
        ({"source": "zz"}, "zz is not supported"),
        ({"target": "zz"}, "zz is not supported"),
        ({"format": "html"}, "html format is not supported"),
        ({"alternatives": 4}, "Invalid request: alternatives parameter must be <= 3"),
        ({"alternatives": "many"}, "Invalid request: alternatives parameter is not a number"),
        ({"q": [1]}, "Invalid request: q parameter is not a string or array of strings"),
        ({"q": {"a": 1}}, "Invalid request: q parameter is not a string or array of strings"),
    ],
)
def test_wrong_requests_get_libretranslates_own_texts(
    client: TestClient, changes: dict[str, Any], text: str
) -> None:
    assert error_of(client, **changes) == text


def test_a_text_over_the_limit_gets_libretranslates_own_text(make_client: MakeClient) -> None:
    client = make_client(max_text_characters=5)

    text = "Invalid request: request (10) exceeds text limit (5)"
    assert error_of(client) == text


@pytest.mark.parametrize("body", ["{", '{"q": ', "[1]", "null"])
def test_a_body_that_is_no_json_object_gets_libretranslates_own_text(
    client: TestClient, body: str
) -> None:
    reply = client.post("/translate", content=body, headers={"content-type": "application/json"})

    assert (reply.status_code, reply.json()) == (400, {"error": "Invalid JSON format"})


def test_half_a_surrogate_pair_is_refused_with_its_place(client: TestClient) -> None:
    body = '{"q": "a\\ud800", "source": "de", "target": "en"}'

    reply = client.post("/translate", content=body)

    assert reply.status_code == 400
    assert reply.json() == {"error": "q has half a surrogate pair, U+D800, at character 1"}


def test_a_full_queue_says_slowdown(client: TestClient, engine: StubEngine) -> None:
    engine.is_full = True

    reply = client.post("/translate", json=REQUEST)

    assert reply.status_code == 429
    assert reply.headers["retry-after"] == "1"
    assert reply.json()["error"].startswith("Slowdown: ")


def test_languages_are_listed_even_to_clients_that_send_a_body(client: TestClient) -> None:
    reply = client.request("GET", "/languages", data={"api_key": "kk"})

    assert reply.json() == [
        {"code": "de", "name": "German", "targets": ["de", "en"]},
        {"code": "en", "name": "English", "targets": ["de", "en"]},
    ]


def test_detection_lists_the_best_language_first(client: TestClient) -> None:
    found = client.post("/detect", data={"q": "Das Wetter ist heute schön."}).json()

    assert [each["language"] for each in found] == ["de", "en"]
    assert found[0]["confidence"] > 90


def test_detection_without_a_text_is_refused(client: TestClient) -> None:
    reply = client.post("/detect", data={})

    assert reply.json() == {"error": "Invalid request: missing q parameter"}


def test_health_is_constant(client: TestClient) -> None:
    assert client.get("/health").json() == {"status": "ok"}


def test_front_ends_learn_the_limits(make_client: MakeClient) -> None:
    settings = make_client(max_text_characters=77).get("/frontend/settings").json()

    assert settings["charLimit"] == 77
    assert settings["language"]["source"]["code"] == "auto"


@pytest.mark.parametrize(("method", "path"), [("GET", "/languages"), ("POST", "/translate")])
def test_any_web_page_may_call(client: TestClient, method: str, path: str) -> None:
    reply = client.request(method, path)

    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["access-control-allow-methods"] == "GET, POST"
    assert reply.headers["access-control-allow-headers"] == (
        "Authorization, Content-Type, X-Request-Timeout"
    )


def test_a_browser_may_ask_beforehand(client: TestClient) -> None:
    reply = client.options("/translate")

    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == "*"


def test_the_native_api_is_not_open_to_any_web_page(client: TestClient) -> None:
    assert "access-control-allow-origin" not in client.get("/v1/models").headers
