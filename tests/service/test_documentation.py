import re

from fastapi.testclient import TestClient

from service.problems import PROBLEMS


def test_every_type_of_problem_is_explained_at_docs(client: TestClient) -> None:
    page = client.get("/docs").text

    for problem in PROBLEMS.values():
        assert f'id="{problem.slug}"' in page


def test_the_docs_load_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs").text

    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", page)
    assert not re.findall(
        '"/[a-z]', page
    )  # nor from the server's root: a proxy may have a path before ours
    assert client.get("/openapi.json").json()["info"]["title"] == "Dragoman"


def test_code_in_the_meaning_of_a_problem_is_marked_as_such(client: TestClient) -> None:
    table = client.get("/docs").text.split("<tbody>")[1].split("</tbody>")[0]

    assert "<code>value</code> is what was read or announced so far." in table
    assert "`" not in table
