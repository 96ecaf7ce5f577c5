"""The page at /docs: one file, which loads nothing but openapi.json of the same server."""

import re
from functools import cache
from html import escape
from importlib import resources

from service.problems import PROBLEMS

_ROWS_MARK = "<!-- problems -->"


@cache
def documentation_page() -> str:
    """Read the page that lies beside this module, and fill in the table of problems."""
    page = resources.files("service").joinpath("documentation.html").read_text("utf-8")
    rows = "".join(
        f'<tr id="{problem.slug}"><td>{problem.status}</td><td><code>{problem.slug}</code></td>'
        f"<td>{escape(problem.title)}</td><td>{_meaning(error)}</td></tr>"
        for error, problem in PROBLEMS.items()
    )
    return page.replace(_ROWS_MARK, rows)


def _meaning(error: type[Exception]) -> str:
    """The docstring of an error in HTML; it has code between backticks."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape((error.__doc__ or "").strip()))
