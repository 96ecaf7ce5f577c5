"""Ask a running service for translations at random moments, and say how long they took.

    python deploy/loadtest/poisson.py --url http://127.0.0.1:8000 --rate 5 --seconds 60

Open loop: requests come as a Poisson process of the given rate, however slow the answers are, as
those of many independent users do. Needs nothing but Python's standard library; ends by itself.
"""

import argparse
import http.client
import json
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

MAX_CONNECTIONS = 512
TIMEOUT_SECONDS = 60.0
TEXTS = {
    "en": (
        "Good morning!",
        "Where is the station?",
        "I would like to book a table for four people on Friday evening.",
        "The museum is closed on Mondays. On all other days it opens at ten and closes at six.",
        "When the rain stopped, we went down to the harbour to see the old ships. My brother took "
        "pictures of every one of them, and in the evening we ate fish in a small restaurant.",
    ),
    "de": (
        "Guten Morgen!",
        "Wo ist der Bahnhof?",
        "Ich möchte für Freitagabend einen Tisch für vier Personen bestellen.",
        "Montags ist das Museum zu. An allen anderen Tagen öffnet es um zehn und schließt um "
        "sechs.",
        "Als der Regen aufhörte, gingen wir zum Hafen, um uns die alten Schiffe anzusehen. Mein "
        "Bruder fotografierte jedes von ihnen, und am Abend aßen wir Fisch in einem kleinen Lokal.",
    ),
}
OTHER = {"en": "de", "de": "en"}


@dataclass(frozen=True)
class Answer:
    """What became of one request; `status` is an HTTP status, or the name of an error."""

    status: str
    seconds: float


def arrivals(rate: float, seconds: float, generator: random.Random) -> Iterator[float]:
    """Moments of a Poisson process, in seconds from its start."""
    moment = generator.expovariate(rate)
    while moment < seconds:
        yield moment
        moment += generator.expovariate(rate)


def ask(url: str, source: str, text: str, due: float) -> Answer:
    """Send one request, in the native protocol; its time counts from when it was due.

    So it has in it what it waited for a connection, as a user's would.
    """
    body = json.dumps({"texts": [text], "source": source, "target": OTHER[source]})
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("POST", "/v1/translate", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        status = str(response.status)
    except (OSError, http.client.HTTPException) as error:
        status = type(error).__name__
    finally:
        connection.close()
    return Answer(status, time.monotonic() - due)


def run(url: str, rate: float, seconds: float, seed: int) -> list[Answer]:
    """Send all requests at their moments, and wait for every answer."""
    generator = random.Random(seed)
    futures: list[Future[Answer]] = []
    started = time.monotonic()
    with ThreadPoolExecutor(MAX_CONNECTIONS) as pool:
        for moment in arrivals(rate, seconds, generator):
            source = generator.choice(list(TEXTS))
            text = generator.choice(TEXTS[source])
            due = started + moment
            time.sleep(max(0.0, due - time.monotonic()))
            futures.append(pool.submit(ask, url, source, text, due))
    return [future.result() for future in futures]


def describe(answers: Sequence[Answer], seconds: float) -> str:
    """Count statuses, and give percentiles of the time of what was answered with 200."""
    counts = Counter(answer.status for answer in answers)
    times = sorted(answer.seconds for answer in answers if answer.status == "200")
    lines = [f"{status:>8} {count:7}" for status, count in sorted(counts.items())]
    lines.append(
        f"answered {len(times) / seconds:.2f} a second, asked {len(answers) / seconds:.2f}"
    )
    if len(times) > 1:
        cuts = statistics.quantiles(times, n=100, method="inclusive")
        lines.append("  ".join(f"p{n} {cuts[n - 1]:.3f} s" for n in (50, 95, 99)))
    return "\n".join(lines)


def main() -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="of the service")
    parser.add_argument("--rate", type=float, default=5.0, help="requests a second, on average")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long requests are sent")
    parser.add_argument("--seed", type=int, default=1, help="of moments and texts")
    options = parser.parse_args()
    answers = run(options.url, options.rate, options.seconds, options.seed)
    print(describe(answers, options.seconds))


if __name__ == "__main__":
    main()
