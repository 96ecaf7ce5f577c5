"""Rules that a translation keeps or breaks, whatever its wording.

A rule takes a case and its translation, and says in words what is wrong. It knows only what can be
read off the two texts; whether a sentence is well translated is left to BLEU and to people.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from model.check_cases import Case

# Lengths are UTF-8 bytes: a Chinese character says more than a Latin letter, and has three.
MAX_LENGTH_RATIO = 1.8
LENGTH_SLACK_BYTES = 10  # single words vary widely: "doch" is "yes, it is"

MIN_PHRASE_REPEATS = 3
MIN_CHARACTER_REPEATS = 6
MAX_PHRASE_WORDS = 40  # the longest phrase that is searched for; most sentences are shorter

_CHARACTER_RUN = re.compile(rf"([^\s\d]{{1,4}}?)\1{{{MIN_CHARACTER_REPEATS - 1},}}")

_URL = re.compile(
    r"(?:[a-z]+://|www\.)\S+|(?<![\w.@])[\w-]+(?:\.[\w-]+)*\.(?:com|de|eu|net|org)\b(?:/\S*)?"
)
_URL_CLOSERS = ".,;:!?)]}\"'”“’‘»«"
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PLACEHOLDER = re.compile(
    r"\$\{\w+\}|\{\{\w+\}\}|\{\w*\}"  # ${HOME} {{count}} {name} {0}
    r"|%\(\w+\)[sd]|%(?:\d+\$)?[sd](?!\w)|%\d+(?!\$)"  # %(user)s %s %1$s %1
    r"|</?[a-z]\w*[^<>]*>|&\w+;"  # <b> </b> <a href="..."> &amp;
)


def names_kept(case: Case, translation: str) -> list[str]:
    """Every name of `keep` is there as a whole word, at least as often as in the source."""
    problems = []
    for entry in case.keep:
        pattern = _any_of(entry.split("|"))
        wanted, found = len(pattern.findall(case.text)), len(pattern.findall(translation))
        problems += _miscounted(entry, wanted, min(found, wanted))
    return problems


def numbers_kept(case: Case, translation: str) -> list[str]:
    """Every number of `keep` is there, exactly as often as in the source, and no other number.

    Decimal and thousands marks may be those of either language. Dates and times have their
    accepted forms in `keep`.
    """
    problems, rest = [], translation
    for entry in case.keep:
        forms = [form for part in entry.split("|") for form in number_forms(part, case.source)]
        pattern = _any_of(forms, re.IGNORECASE)
        wanted, found = len(pattern.findall(case.text)), len(pattern.findall(translation))
        problems += _miscounted(entry, wanted, found)
        rest = pattern.sub(" ", rest)
    strangers = re.findall(r"\d+(?:[.,:]\d+)*", rest)
    return problems + [f"{number} is not in the source" for number in strangers]


def number_forms(number: str, language: str) -> list[str]:
    """Ways to write a number that is written as in `language`.

    1,250.50 is also 1.250,50 and 1250,50 and 1 250.50. A whole number of four digits gets no
    thousands mark, for it may be a year. What is no plain number has one form: its own.
    """
    thousands, decimal = (",", ".") if language == "en" else (".", ",")
    read = re.fullmatch(rf"(\d{{1,3}}(?:\{thousands}\d{{3}})+|\d+)(?:\{decimal}(\d+))?", number)
    if not read:
        return [number]
    whole, fraction = read[1].replace(thousands, ""), read[2]
    grouped = f"{int(whole):,}" if thousands in read[1] or len(whole) > 4 else whole
    forms = [number]
    for thousands_mark in ("", ",", ".", " ", "\u00a0", "\u202f", "'"):
        marked = grouped.replace(",", thousands_mark)
        if fraction is None:
            forms.append(marked)
        else:
            forms += [f"{marked}{mark}{fraction}" for mark in ".," if mark != thousands_mark]
    return forms


def _any_of(forms: Sequence[str], flags: int = 0) -> re.Pattern[str]:
    """Match any of the forms where it stands alone, the longest first."""
    alone = {f"{_edge(form[0])[0]}{re.escape(form)}{_edge(form[-1])[1]}" for form in forms}
    return re.compile("|".join(sorted(alone, key=lambda form: (-len(form), form))), flags)


def _edge(character: str) -> tuple[str, str]:
    """What must not stand before and behind a form that begins or ends with `character`."""
    if character.isdigit():  # 5 is neither in 15 nor in 5,3 or 12:05, but it is in "5kg" and "5."
        return r"(?<!\d)(?<!\d[.,:])", r"(?!\d)(?![.,:]\d)"
    return (r"(?<!\w)", r"(?!\w)") if character.isalnum() else ("", "")


def _miscounted(name: str, wanted: int, found: int) -> list[str]:
    name = name.partition("|")[0]  # the form of the source, of all that are accepted
    if found == wanted:
        return []
    if found == 0:
        return [f"{name} is missing"]
    if wanted == 0:
        return [f"{name} is not in the source"]
    return [f"{name}: {found} instead of {wanted}"]


def same_urls(case: Case, translation: str) -> list[str]:
    """The same URLs, each as often as in the source, unchanged to the last letter."""
    source, target = (
        Counter(url.rstrip(_URL_CLOSERS) for url in _URL.findall(text))
        for text in (case.text, translation)
    )
    return _differences(source, target)


def same_emails(case: Case, translation: str) -> list[str]:
    """The same e-mail addresses, each as often as in the source."""
    return _differences(Counter(_EMAIL.findall(case.text)), Counter(_EMAIL.findall(translation)))


def same_placeholders(case: Case, translation: str) -> list[str]:
    """The same placeholders, each as often as in the source; a tag closes the last one opened."""
    found = _PLACEHOLDER.findall(translation)
    return _differences(Counter(_PLACEHOLDER.findall(case.text)), Counter(found)) or _nesting(found)


def _differences(wanted: Counter[str], found: Counter[str]) -> list[str]:
    return [
        problem
        for name in dict.fromkeys((*wanted, *found))
        for problem in _miscounted(name, wanted[name], found[name])
    ]


def _nesting(placeholders: Sequence[str]) -> list[str]:
    """Say which tag closes what was not opened last."""
    opened: list[str] = []
    for tag in placeholders:
        if tag.startswith("</"):
            if not opened or opened.pop() != tag[2:-1]:
                return [f"{tag} stands in the wrong place"]
        elif tag.startswith("<"):
            opened.append(tag[1:-1].split()[0])
    return []


class Repeat(NamedTuple):
    """What stands in a row, and how often; once if nothing does."""

    what: str
    times: int


def phrase_repeat(text: str) -> Repeat:
    """The words that stand most often in a row: ("no", 3) in "No, no, no!".

    Phrases of up to 40 words are looked for; case and punctuation do not count.
    """
    words = re.findall(r"\w+", text.casefold())
    most = Repeat("", 1)
    for size in range(1, min(MAX_PHRASE_WORDS, len(words) // 2) + 1):
        same = 0  # words in a row that equal the word one phrase before
        for place in range(size, len(words)):
            same = same + 1 if words[place] == words[place - size] else 0
            times = same // size + 1
            if times > most.times:
                most = Repeat(" ".join(words[place - size + 1 : place + 1]), times)
    return most


def character_repeat(text: str) -> Repeat:
    """The one to four characters that stand most often in a row, without space between them.

    Fewer than six times is nothing, and digits do not count: a million is no loop.
    """
    runs = [Repeat(run[1], len(run[0]) // len(run[1])) for run in _CHARACTER_RUN.finditer(text)]
    return max(runs, key=lambda run: run.times, default=Repeat("", 1))


def no_loop(case: Case, translation: str) -> list[str]:
    """No phrase stands three times in a row, nor a piece of a word six times.

    If the source repeats itself, a phrase may stand as often, and a piece of a word half as often
    again: nobody counts the letters of "sooooo".
    """
    return repetitions(case.text, translation)


def repetitions(source: str, translation: str) -> list[str]:
    """Say what is repeated over and over in the translation, and is not in the source."""
    problems = []
    for measure, least, growth in (
        (phrase_repeat, MIN_PHRASE_REPEATS, 1.0),
        (character_repeat, MIN_CHARACTER_REPEATS, 1.5),
    ):
        what, times = measure(translation)
        if times >= least and times > growth * measure(source).times:
            problems.append(f"{what!r} stands {times} times in a row")
    return problems


def fitting_length(case: Case, translation: str) -> list[str]:
    """Neither text has over 1.8 times the other's bytes and 10; only blank text becomes blank."""
    if case.text.strip() and not translation.strip():
        return ["the translation is empty"]
    given, found = len(case.text.encode()), len(translation.encode())
    low = max(0, math.ceil((given - LENGTH_SLACK_BYTES) / MAX_LENGTH_RATIO))
    high = math.floor(given * MAX_LENGTH_RATIO + LENGTH_SLACK_BYTES)
    if low <= found <= high:
        return []
    return [f"{found} bytes, where the source has {given} and {low} to {high} are expected"]


def robust(case: Case, translation: str) -> list[str]:
    """No loop, a fitting length, and no script that the source does not have.

    Words of a text without a letter are made up, as are German ones of a Chinese sentence that
    should have become English: it comes back as it was.
    """
    problems = no_loop(case, translation) + fitting_length(case, translation)
    strangers = sorted(_scripts(translation) - _scripts(case.text))
    return problems + [f"it has {script} letters, the source has none" for script in strangers]


def _scripts(text: str) -> set[str]:
    """The scripts of its letters, by the first word of their Unicode names: LATIN, CJK, GREEK."""
    return {unicodedata.name(letter, "unnamed").split()[0] for letter in filter(str.isalpha, text)}
