"""Another bundle on SIGHUP while requests are open: one that is sound, and one that is not."""

import asyncio
import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.chaos.promise import Outcome, Scenario, judge
from deploy.chaos.server import Server, serving
from deploy.chaos.storm import SENTENCE
from deploy.loadtest.http_client import Connection

NUM_CLIENTS = 8
NUM_SWAPS = 4
TEXTS = [SENTENCE, "Summer rains.", f"{SENTENCE} {SENTENCE}"]
TIMEOUT_SECONDS = 2  # of a request, and so of a model that was swapped out
RELOAD_SECONDS = 30.0
LOAD_SECONDS = 0.5  # before the first signal, and behind the last swap
POLL_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Users:
    """What users got who ask the same again and again."""

    answers: Counter[str] = field(default_factory=Counter)

    @property
    def num_failed(self) -> int:
        """Those that got no translation."""
        return sum(count for what, count in self.answers.items() if not what.startswith("["))

    @property
    def figures(self) -> str:
        """What there was of what, in words."""
        return (
            f"{self.num_failed} of {self.answers.total()} requests failed; "
            f"kinds of answers: {len(self.answers)} ({min(self.answers.values())} of the rarest)"
        )

    async def ask(self, url: str) -> None:
        """Ask until cancelled; over one connection, as long as nothing fails."""
        body = {"texts": TEXTS, "source": "en", "target": "de"}
        while True:
            try:
                async with Connection(url) as connection:
                    while True:
                        answer = await connection.post("/v1/translate", body)
                        self.answers[_essence(answer.status, answer.body)] += 1
            except (OSError, EOFError) as error:
                self.answers[type(error).__name__] += 1


def _essence(status: int, body: bytes) -> str:
    """Model and translations of an answer, without its times; else its status."""
    if status != 200:
        return str(status)
    content = json.loads(body)
    return json.dumps([content["model"], [text["text"] for text in content["translations"]]])


@asynccontextmanager
async def _loaded(bundle: Path, served: Path) -> AsyncIterator[tuple[Server, Users]]:
    """A service on `served`, a link to `bundle`, and users until the context ends."""
    served.symlink_to(bundle.resolve())
    within = ("env", f"DRAGOMAN_TIMEOUT_SECONDS={TIMEOUT_SECONDS}")
    async with serving(served, within=within) as server:
        users = Users()
        tasks = [asyncio.create_task(users.ask(server.url)) for _ in range(NUM_CLIENTS)]
        try:
            await asyncio.sleep(LOAD_SECONDS)
            yield server, users
            await asyncio.sleep(LOAD_SECONDS)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _reload(server: Server, served: Path, bundle: Path, result: str) -> bool:
    """Let the link lead to another bundle, and say so; whether the reload ends with `result`."""
    name = f'dragoman_bundle_reloads_total{{result="{result}"}}'
    before, started = await server.metric(name), time.monotonic()
    link = served.with_name("next")
    link.symlink_to(bundle)
    os.replace(link, served)
    server.process.send_signal(signal.SIGHUP)
    while await server.metric(name) == before:
        if time.monotonic() - started > RELOAD_SECONDS:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True


async def _swap(bundle: Path) -> Outcome:
    with TemporaryDirectory() as folder:
        served = Path(folder) / "served"
        other = _write_other(bundle, Path(folder) / "other")
        async with _loaded(bundle, served) as (server, users):
            num_swaps = 0
            for number in range(NUM_SWAPS):
                target = bundle.resolve() if number % 2 else other
                num_swaps += await _reload(server, served, target, "swapped")
    return judge(
        num_swaps == NUM_SWAPS and users.num_failed == 0 and len(users.answers) == 2,
        f"{num_swaps} swaps; {users.figures}",
    )


def _write_other(bundle: Path, folder: Path) -> Path:
    """A bundle with another name, which takes each direction for the next one."""
    shutil.copytree(bundle, folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["name"] = "other"
    directions = manifest["directions"]
    tag_ids = [direction["tag_id"] for direction in directions]
    for direction, tag_id in zip(directions, tag_ids[1:] + tag_ids[:1], strict=True):
        direction["tag_id"] = tag_id
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


async def _refuse(bundle: Path) -> Outcome:
    with TemporaryDirectory() as folder:
        served, damaged = Path(folder) / "served", Path(folder) / "damaged"
        shutil.copytree(bundle, damaged)
        (damaged / "golden.json").write_text("[]", encoding="utf-8")
        async with _loaded(bundle, served) as (server, users):
            is_refused = await _reload(server, served, damaged, "refused")
    return judge(
        is_refused and users.num_failed == 0 and len(users.answers) == 1,
        f"{'refused' if is_refused else 'not refused'}; {users.figures}",
    )


SWAP = Scenario(
    name="another bundle on SIGHUP under load",
    promise="No request fails, and each is answered by one of the two models alone.",
    run=_swap,
)
REFUSED_SWAP = Scenario(
    name="a damaged bundle on SIGHUP under load",
    promise="It is refused, no request fails, and all are answered as before.",
    run=_refuse,
)
