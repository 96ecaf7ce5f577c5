"""LibreTranslate's own server, run by its own Python, with one part replaced.

It cuts text into sentences by a model that it downloads. Offline a stand-in of the same interface
takes the text as one sentence, which the load sends anyway, and puts the space before it that our
tokenizer wants. The stand-in costs nothing, so LibreTranslate is a little quicker here than it is.
"""

from typing import Any


class OneSentence:
    """In the place of `minisbd.SBDetect`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Take what the real one takes."""

    def sentences(self, text: str) -> list[str]:
        """The text, as one sentence."""
        return [f" {text}"]


def main() -> None:
    """Run the server with the arguments of the command line."""
    import minisbd  # noqa: PLC0415 - present only in LibreTranslate's environment

    minisbd.SBDetect = OneSentence  # before argostranslate imports it
    from libretranslate.main import main as serve  # noqa: PLC0415

    serve()


if __name__ == "__main__":
    main()
