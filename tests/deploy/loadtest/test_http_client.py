"""What the client reads, and where it connects."""

import pytest

from deploy.loadtest.http_client import Answer, Connection, read_head, translated_text


def test_status_and_length_are_read_in_any_case() -> None:
    assert read_head(b"HTTP/1.1 429 Too Many\r\nServer: x\r\ncontent-LENGTH: 17\r\n\r\n") == (
        429,
        17,
    )


def test_an_answer_without_a_length_is_refused() -> None:
    with pytest.raises(ValueError, match="no Content-Length"):
        read_head(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n")


def test_a_refusal_is_no_translation() -> None:
    assert translated_text(Answer(200, b'{"translatedText": "Hund"}')) == "Hund"
    with pytest.raises(ValueError, match="status 503"):
        translated_text(Answer(503, b"{}"))


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "http://", ""])
def test_only_addresses_of_servers_are_taken(url: str) -> None:
    with pytest.raises(ValueError, match="no http or https address"):
        Connection(url)
