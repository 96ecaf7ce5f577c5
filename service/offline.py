"""Translate many texts straight on a bundle, without HTTP."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from service.backend import Backend
from service.draft import Draft, Drafter
from service.engine.report import StepReport
from service.errors import BundleError, ServiceError, SettingsError
from service.loading import load_backend
from service.settings import Settings, load_settings
from service.translation import OptionsWish, Translation, TranslationRequest

WINDOW = 128  # texts in the engine at once: enough to keep it busy, little enough to stream


class OfflineTranslator:
    """A bundle and its engine, a context manager. Keeps the engine full; answers in order.

    Args:
        overrides: fields of `Settings` by name; None stands for "not given".
    Raises:
        BundleError, SettingsError: if the bundle or a setting is refused.
    """

    def __init__(self, **overrides: object) -> None:
        # Nobody waits at the door here, so the limits that protect a server are lifted.
        self._settings: Settings = load_settings(
            max_queue_tokens=100_000_000,
            max_text_characters=100_000_000,
            timeout_seconds=3_600.0,
            **overrides,
        )

    def __enter__(self) -> Self:
        self._backend: Backend = load_backend(self._settings, _ignore)
        model, tokenizer = self._backend.model, self._backend.tokenizer
        self._drafter = Drafter(model, tokenizer, self._backend.detector, self._settings)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._backend.engine.drain(0.0 if error else self._settings.drain_seconds)

    def translate(
        self,
        texts: Iterable[str],
        source: str,
        target: str,
        options: OptionsWish,
        *,
        formality: str = "default",
        alignment: bool = False,
        window: int = WINDOW,
    ) -> Iterator[Translation]:
        """Yield one translation a text, in order, while later texts are already decoded.

        Args:
            formality: how to address the reader; "default" leaves it to the model.
            alignment: whether to tell the tokens, and what each was read from.
            window: texts read ahead of the one that is yielded.
        Raises:
            ServiceError: if a text or an option is refused.
        """
        options = options.with_seed()  # the same for all texts
        remaining = iter(texts)
        waiting: list[Draft] = []
        while True:
            for text in islice(remaining, window - len(waiting)):
                request = TranslationRequest(
                    texts=(text,),
                    source=source,
                    target=target,
                    formality=formality,
                    options=options,
                    alignment=alignment,
                )
                waiting.append(self._submit(request))
            if not waiting:
                return
            yield self._finish(waiting.pop(0))

    def _submit(self, request: TranslationRequest) -> Draft:
        [draft] = self._drafter.draft(request, deadline=float("inf"))
        for job in draft.jobs:
            self._backend.engine.submit(job)
        return draft

    def _finish(self, draft: Draft) -> Translation:
        results = [job.future.result() for job in draft.jobs]
        [translation] = self._drafter.finish([draft], results)
        return translation


def translate_texts(
    bundle: Path, precision: str, source: str, target: str, texts: Sequence[str], beam_size: int
) -> list[str]:
    """The best translation of each text, in order.

    Raises:
        ValueError: if bundle, language or option is refused; callers from outside this
            package know no error of its own.
    """
    options = OptionsWish(beam_size=beam_size)
    try:
        with OfflineTranslator(bundle=bundle, precision=precision) as translator:
            translated = translator.translate(texts, source, target, options)
            return [translation.candidates[0].text for translation in translated]
    except (BundleError, ServiceError, SettingsError) as error:
        raise ValueError(str(error)) from error


def _ignore(report: StepReport) -> None:
    """No metrics are kept here."""
