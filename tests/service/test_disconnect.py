import asyncio

import pytest
from starlette.types import Message, Receive

from service.disconnect import cancel_on_disconnect
from service.errors import RequestCancelled


def client_that_goes(when: asyncio.Event) -> Receive:
    async def receive() -> Message:
        await when.wait()
        return {"type": "http.disconnect"}

    return receive


def test_the_result_comes_back_while_the_client_stays() -> None:
    async def scenario() -> int:
        async def work() -> int:
            return 42

        return await cancel_on_disconnect(client_that_goes(asyncio.Event()), work())

    assert asyncio.run(scenario()) == 42


def test_an_error_of_the_work_comes_through() -> None:
    async def scenario() -> None:
        async def work() -> None:
            raise ValueError("why")

        await cancel_on_disconnect(client_that_goes(asyncio.Event()), work())

    with pytest.raises(ValueError, match="why"):
        asyncio.run(scenario())


def test_the_work_is_cancelled_when_the_client_goes() -> None:
    ended = []

    async def scenario() -> None:
        gone = asyncio.Event()

        async def work() -> None:
            gone.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("work")

        await cancel_on_disconnect(client_that_goes(gone), work())

    with pytest.raises(RequestCancelled):
        asyncio.run(scenario())
    assert ended == ["work"]


def test_the_work_is_cancelled_when_the_caller_is() -> None:
    ended = []

    async def scenario() -> None:
        started = asyncio.Event()

        async def work() -> None:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("work")

        caller = asyncio.create_task(
            cancel_on_disconnect(client_that_goes(asyncio.Event()), work())
        )
        await started.wait()
        caller.cancel()
        await caller

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(scenario())
    assert ended == ["work"]
