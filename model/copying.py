"""Things that a translation must keep to the letter, put into training pairs on both sides."""

import re
from random import Random

from model.corpus import Pair

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ENDINGS = ("com", "org", "net", "de", "eu", "io")
USERS = (
    *("contact", "hello", "team", "sales", "service", "jobs", "news", "store", "webmaster", "hr"),
    *("kontakt", "hallo", "verkauf", "bewerbung", "kundendienst", "redaktion", "werkstatt"),
    *("bestellung", "vorstand", "anmeldung", "lisa", "jonas", "miller", "schmidt", "weber"),
    *("julia", "garcia", "thomas", "clara", "wagner", "becker", "martin", "brown", "emma", "paul"),
)
"""How addresses begin, none of those in `check_cases.toml`."""
_NAMES = ("name", "user", "count", "file", "title", "date", "value", "item", "id", "path", "url")
_EMOJI = ((0x1F300, 0x1F5FF), (0x1F600, 0x1F64F), (0x1F680, 0x1F6C5), (0x1F90D, 0x1F9FF))
_SYMBOLS = ((0x2600, 0x26FF), (0x2700, 0x27BF), (0x2190, 0x21FF), (0x25A0, 0x25FF))
_SCRIPTS = (
    *((0x0430, 0x044F), (0x03B1, 0x03C9), (0x05D0, 0x05EA), (0x0627, 0x064A), (0x0905, 0x0939)),
    *((0x4E00, 0x9FA5), (0x4E00, 0x9FA5), (0x3041, 0x3096), (0x30A1, 0x30FA), (0xAC00, 0xD7A3)),
)
_WORD = re.compile(r"(?<![\w{%<])[A-Z]\w+(?![\w}>])|(?<![\w.,:])\d+(?!\w|[.,:]\d)")


def keep_to_the_letter(pair: Pair, random: Random) -> Pair:
    """Put an address, placeholder, number, emoji or foreign word into both sides of a pair."""
    thing = _thing(pair, random)
    return put_in(pair, Pair(thing, thing), random)


def put_in(pair: Pair, thing: Pair, random: Random) -> Pair:
    """Put each side of `thing` into that side of `pair`.

    It takes the place of a name or number that both sides have, if there is one, and stands at
    the start or the end of both sides otherwise.
    """
    first, second = (_WORD.findall(side) for side in pair)
    shared = [word for word in first if first.count(word) == second.count(word) == 1]
    if shared and random.random() < 0.7:
        word = re.compile(rf"(?<!\w){re.escape(random.choice(shared))}(?!\w)")
        return Pair(word.sub(lambda _: thing[0], pair[0]), word.sub(lambda _: thing[1], pair[1]))
    frame = random.choice(_FRAMES)
    return Pair(*map(frame, pair, thing))


def _before_the_mark(side: str, thing: str) -> str:
    body = side.rstrip(".!?")
    return f"{body}: {thing}{side[len(body) :]}"


_FRAMES = (
    _before_the_mark,
    lambda side, thing: f"{side} ({thing})",
    lambda side, thing: f"{side} {thing}",
    lambda side, thing: f"{thing}: {side}",
    lambda side, thing: f"{thing} {side}",
    lambda side, thing: f"{side} – {thing}",
)


def _thing(pair: Pair, random: Random) -> str:
    kinds = (_url, _email, _placeholder, _placeholder, _number, _emoji, _foreign_word)
    return random.choice(kinds)(pair, random)


def _word(pair: Pair, random: Random) -> str:
    """A word of the pair or two in one, which are tempting to translate, or mere letters."""
    words = re.findall(r"(?<!\w)[a-zA-Z]{2,12}(?!\w)", " ".join(pair))
    if words and random.random() < 0.6:
        word = "".join(random.choices(words, k=random.choice((1, 1, 1, 2))))
        return word if random.random() < 0.2 else word.lower()
    return "".join(random.choices(_LETTERS, k=random.randint(2, 9)))


def _url(pair: Pair, random: Random) -> str:
    host = f"{_word(pair, random)}.{random.choice(_ENDINGS)}".lower()
    start = random.choice(("https://", "https://", "http://", "www.", "https://www.", ""))
    port = f":{random.randint(80, 9999)}" if start.endswith("//") and random.random() < 0.2 else ""
    parts = [_word(pair, random) for _ in range(random.randint(0, 3))]
    path = "".join(f"/{part}" for part in parts)
    tail = random.choice(("", "", "/", ".html", f"?{_word(pair, random)}={random.randint(0, 99)}"))
    return f"{start}{host}{port}{path}{tail if parts else ''}"


def _email(pair: Pair, random: Random) -> str:
    mark = random.choice((".", ".", "_", "-", "+"))
    parts = random.sample((random.choice(USERS), _word(pair, random)), k=random.randint(1, 2))
    host = ".".join(_word(pair, random).lower() for _ in range(random.choice((1, 1, 2))))
    return f"{mark.join(parts)}@{host}.{random.choice(_ENDINGS)}"


def _placeholder(pair: Pair, random: Random) -> str:
    name = random.choice(_NAMES) if random.random() < 0.5 else _word(pair, random).lower()
    digit = random.randint(0, 9)
    in_braces = [f"{{{name}}}", f"{{{name}}}", f"{{{digit}}}", f"{{{{{name}}}}}"]
    after_percent = ["%s", "%d", f"%{digit}", f"%{digit}$s", f"%({name})s"]
    others = [f"${{{name.upper()}}}", f"<b>{name}</b>", "&amp;"]
    return random.choice(in_braces + after_percent + others)


def _number(pair: Pair, random: Random) -> str:
    hour, minute = random.randint(0, 23), random.randint(0, 59)
    return random.choice(
        (
            str(random.randint(0, 99)),
            str(random.randint(100, 99_999)),
            str(random.randint(1800, 2100)),
            f"{hour:02}:{minute:02}",
            f"{random.randint(0, 9)}.{random.randint(0, 20)}.{random.randint(0, 20)}",
            f"{random.randint(10**6, 10**10)}",
        )
    )


def _emoji(pair: Pair, random: Random) -> str:
    """One to three, of which some have the mark that asks for colours."""
    first, last = random.choice((*_EMOJI, *_EMOJI, *_SYMBOLS))
    mark = random.choice(("", "", "\ufe0f"))
    count = random.choice((1, 1, 2, 3))
    return "".join(chr(random.randint(first, last)) + mark for _ in range(count))


def _foreign_word(pair: Pair, random: Random) -> str:
    """Letters of a script that neither side is written in."""
    first, last = random.choice(_SCRIPTS)
    return "".join(chr(random.randint(first, last)) for _ in range(random.randint(1, 6)))
