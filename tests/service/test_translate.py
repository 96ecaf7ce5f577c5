import asyncio
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from service.backend import Backend
from service.draft import Drafter
from service.errors import DeadlineExceeded, EngineFailure, QueueFull, UnsupportedPair
from service.metrics import RequestMetrics
from service.settings import Settings
from service.streaming import Delta, Event, SegmentEnd
from service.translate import Translator
from service.translation import TranslationReply, TranslationRequest
from tests.service.stub_engine import EOS_ID, TAG_IDS, StubEngine, StubTokenizer


def make_translator(backend: Backend, *, timeout_seconds: float = 30.0) -> Translator:
    drafter = Drafter(backend.model, backend.tokenizer, backend.detector, Settings())
    metrics = RequestMetrics(CollectorRegistry())
    return Translator(drafter, backend.engine, timeout_seconds=timeout_seconds, metrics=metrics)


def request(*texts: str) -> TranslationRequest:
    return TranslationRequest(texts=texts, source="de", target="en")


def translate(translator: Translator, *texts: str) -> TranslationReply:
    return asyncio.run(translator.translate(request(*texts)))


def test_a_job_has_the_tag_first_and_eos_last(backend: Backend, engine: StubEngine) -> None:
    translate(make_translator(backend), "Ja")

    (job,) = engine.jobs
    assert job.source_ids == (TAG_IDS["de", "en"], *StubTokenizer().encode("Ja"), EOS_ID)


def test_the_jobs_of_a_request_know_who_asks_and_that_they_belong_together(
    backend: Backend, engine: StubEngine
) -> None:
    translator = make_translator(backend)
    for _ in range(2):
        asyncio.run(translator.translate(request("Eins. Zwei."), "10.0.0.1"))

    first, second, third, fourth = engine.jobs
    assert {job.client for job in engine.jobs} == {"10.0.0.1"}
    assert first.request == second.request != third.request == fourth.request


def test_a_failed_job_fails_the_request_and_cancels_its_siblings(
    backend: Backend, engine: StubEngine
) -> None:
    engine.error = EngineFailure("a step failed")

    async def scenario() -> None:
        engine.gate.clear()
        work = asyncio.create_task(
            make_translator(backend).translate(request(f"Eins {engine.poison}. Zwei. Drei."))
        )
        await asyncio.to_thread(engine.taken.wait)
        engine.jobs[0].future.set_exception(engine.error)
        await work

    with pytest.raises(EngineFailure, match="a step failed"):
        asyncio.run(scenario())
    assert [job.cancelled for job in engine.jobs] == [False, True, True]


def test_a_queue_that_is_full_in_the_middle_cancels_what_was_submitted(
    backend: Backend, engine: StubEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.gate.clear()
    submit = engine.submit

    def submit_two(job: object) -> None:
        engine.is_full = len(engine.jobs) == 2
        submit(job)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "submit", submit_two)

    with pytest.raises(QueueFull):
        translate(make_translator(backend), "Eins. Zwei. Drei. Vier.")

    assert [job.cancelled for job in engine.jobs] == [True, True]


def test_a_full_queue_refuses_before_the_text_is_looked_at(
    backend: Backend, engine: StubEngine
) -> None:
    engine.is_full = True

    with pytest.raises(QueueFull):
        translate(make_translator(backend), "half a surrogate pair: \ud800")


def test_a_cancelled_request_cancels_its_jobs(backend: Backend, engine: StubEngine) -> None:
    engine.gate.clear()

    async def scenario() -> None:
        work = asyncio.create_task(make_translator(backend).translate(request("Eins. Zwei.")))
        await asyncio.to_thread(engine.taken.wait)
        work.cancel()
        await work

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(scenario())
    assert all(job.cancelled for job in engine.jobs)


def test_a_late_answer_is_given_up_with_limit_and_value(
    backend: Backend, engine: StubEngine
) -> None:
    engine.gate.clear()

    with pytest.raises(DeadlineExceeded, match=r"no answer after 0\.\d+ seconds; the limit is 0.2"):
        translate(make_translator(backend, timeout_seconds=0.2), "Eins")

    assert engine.jobs[0].cancelled
    assert engine.jobs[0].deadline - engine.jobs[0].submitted_at < 0.2


def test_a_missing_direction_is_refused(backend: Backend) -> None:
    one_way = replace(backend.model, tag_ids={("en", "de"): TAG_IDS["en", "de"]})
    backend = replace(backend, model=one_way)

    with pytest.raises(UnsupportedPair, match="there is no translation from de to en"):
        translate(make_translator(backend), "Hallo")


def test_two_hundred_requests_at_once_are_all_answered_right(
    backend: Backend, engine: StubEngine
) -> None:
    async def scenario() -> list[TranslationReply]:
        translator = make_translator(backend)
        work = (translator.translate(request(f"Nummer {n}. Ja, {n}!")) for n in range(200))
        return await asyncio.gather(*work)

    replies = asyncio.run(scenario())

    texts = [reply.translations[0].candidates[0].text for reply in replies]
    assert texts == [f"NUMMER {n}. JA, {n}!" for n in range(200)]


def collect(translator: Translator, *texts: str) -> list[Event | TranslationReply]:
    async def scenario() -> list[Event | TranslationReply]:
        return [event async for event in translator.stream(request(*texts))]

    return asyncio.run(scenario())


def test_a_stream_ends_with_the_reply_that_its_pieces_make(backend: Backend) -> None:
    translator = make_translator(backend)
    *events, reply = collect(translator, " Eins. Zwei!\n", "", "Drei.")

    assert isinstance(reply, TranslationReply)
    assert reply.translations == translate(translator, " Eins. Zwei!\n", "", "Drei.").translations
    for index, translation in enumerate(reply.translations):
        pieces = [e.text for e in events if isinstance(e, Delta) and e.index == index]
        assert "".join(pieces) == translation.candidates[0].text
    ends = {(e.index, e.segment): e.text for e in events if isinstance(e, SegmentEnd)}
    assert ends == {(0, 0): "EINS.", (0, 1): "ZWEI!", (2, 0): "DREI."}
    assert len(events) > 10  # letter by letter


def test_a_stream_that_cannot_begin_raises_before_its_first_event(
    backend: Backend, engine: StubEngine
) -> None:
    engine.is_full = True

    with pytest.raises(QueueFull):
        collect(make_translator(backend), " Eins.")


def test_a_job_that_fails_ends_the_stream_and_cancels_its_siblings(
    backend: Backend, engine: StubEngine
) -> None:
    engine.error = EngineFailure("a step failed")
    seen: list[Event | TranslationReply] = []

    async def scenario() -> None:
        async for event in make_translator(backend).stream(request(f" Eins. A {engine.poison}.")):
            seen.append(event)

    with pytest.raises(EngineFailure, match="a step failed"):
        asyncio.run(scenario())
    assert seen[0] == Delta(index=0, text=" ")
    assert not any(isinstance(event, TranslationReply) for event in seen)


def test_a_stream_that_is_closed_cancels_its_jobs(backend: Backend, engine: StubEngine) -> None:
    engine.gate.clear()

    async def scenario() -> None:
        events = make_translator(backend).stream(request(" Eins. Zwei."))
        assert await anext(events) == Delta(index=0, text=" ")
        await events.aclose()

    asyncio.run(scenario())
    assert [job.cancelled for job in engine.jobs] == [True, True]


def test_tokens_that_come_when_the_loop_is_closed_harm_nobody(
    backend: Backend, engine: StubEngine
) -> None:
    """An engine outlives the requests of a server that stops."""
    engine.gate.clear()

    async def scenario() -> None:
        await anext(make_translator(backend).stream(request(" Eins.")))

    asyncio.run(scenario())
    [job] = engine.jobs
    assert job.on_tokens
    job.on_tokens((1, 2))
