"""From the threads of the engine to the event loop: what the jobs of a request say on their way."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial

from service.draft import Draft
from service.engine.job import Job
from service.streaming import Decode, Event, TextStream

Happening = Callable[[], Iterator[Event]]


class Relay:
    """The events of a request, in the order in which they happen.

    It is made before the jobs are submitted; made, read and closed on the event loop.
    """

    def __init__(self, drafts: Sequence[Draft], decode: Decode) -> None:
        self._decode = decode
        self._loop = asyncio.get_running_loop()
        self._happenings: asyncio.Queue[Happening | None] = asyncio.Queue()
        for index, draft in enumerate(drafts):
            text = TextStream(index, draft.segmented, decode)
            self._happenings.put_nowait(text.begin)
            for segment, job in enumerate(draft.jobs):
                self._listen(text, segment, job)

    def _listen(self, text: TextStream, segment: int, job: Job) -> None:
        def on_tokens(token_ids: tuple[int, ...]) -> None:
            self._tell(partial(text.feed, segment, token_ids))

        def on_done(_future: object) -> None:
            if not job.future.cancelled() and not job.future.exception():
                best = job.future.result().hypotheses[0]
                self._tell(lambda: text.end(segment, self._decode(best.token_ids)))

        job.on_tokens = on_tokens
        job.future.add_done_callback(on_done)

    def _tell(self, happening: Happening) -> None:
        """Called on a worker's thread, which nothing here may stop."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._happenings.put_nowait, happening)

    def close(self) -> None:
        """Nothing more will happen."""
        self._happenings.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Yield events until it is closed."""
        while (happening := await self._happenings.get()) is not None:
            for event in happening():
                yield event
