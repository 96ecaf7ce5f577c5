"""From a bundle on disk to a running engine."""

import hashlib
import logging
from concurrent.futures import wait

from service.allocator import give_back
from service.backend import Backend, OnStep
from service.bundle import GOLDEN, MANIFEST, Bundle, load_bundle
from service.detect import Detector
from service.engine.job import Job
from service.engine.limits import EngineLimits
from service.engine.loop import Engine
from service.engine.options import DecodingOptions
from service.engine.runner import Runner
from service.errors import BundleError
from service.execution import choose_execution
from service.served_model import ServedModel
from service.settings import Settings
from service.tokenizer import Tokenizer
from service.translate import JobSink

_log = logging.getLogger(__name__)

_GOLDEN_SECONDS = 60.0
"""For all golden examples together; the bundled ones take 0.02 s on two idle cores."""


def load_backend(settings: Settings, on_step: OnStep) -> Backend:
    """Open the bundle of the settings and start an engine on it; it takes seconds.

    Raises:
        BundleError: if the bundle is missing, damaged or foreign, or lacks the precision.
    """
    bundle = load_bundle(settings.bundle)
    execution = choose_execution(bundle, settings.provider, settings.precision)
    for sentence in execution.warnings:
        _log.warning("%s", sentence)
    precision, device = execution.precision, execution.device
    limits = settings.engine_limits(bundle.manifest.decoding.max_source_tokens, device)
    detector = Detector(language.code for language in bundle.manifest.languages)
    give_back()  # some 60 MB that it takes only while it loads
    runner = Runner.load(bundle, precision, device)
    tokenizer = Tokenizer.load(bundle)
    model = _describe(bundle, precision, runner.provider, limits, tokenizer.silent_ids)
    engine = Engine(runner, limits, on_step=on_step)
    engine.start()
    try:
        check_golden(bundle, engine, limits)
    except BaseException:
        engine.drain(0.0)  # or its threads would hold the model for as long as the process lives
        raise
    give_back()  # what onnxruntime read the graphs into before it packed them
    return Backend(model=model, tokenizer=tokenizer, detector=detector, engine=engine)


def check_golden(bundle: Bundle, engine: JobSink, limits: EngineLimits) -> None:
    """Translate the golden examples that fit the limits; it warms the engine up, too.

    Raises:
        BundleError: if this machine translates one of them otherwise than the export did, or not
            within `_GOLDEN_SECONDS`.
    """
    jobs = {
        example: Job(
            source_ids=example.source_ids,
            options=DecodingOptions(max_target_tokens=len(example.target_ids)),
        )
        for example in bundle.golden
        if len(example.source_ids) <= limits.max_source_tokens
        and len(example.target_ids) <= limits.max_target_tokens
    }
    for job in jobs.values():
        engine.submit(job)
    path = bundle.path / GOLDEN
    if wait([job.future for job in jobs.values()], _GOLDEN_SECONDS).not_done:
        raise BundleError(f"{path}: not all of it was translated in {_GOLDEN_SECONDS:g} seconds")
    eos_id = bundle.manifest.special_ids.eos_id
    for example, job in jobs.items():
        found = job.future.result().hypotheses[0].token_ids
        if found != tuple(token_id for token_id in example.target_ids if token_id != eos_id):
            raise BundleError(
                f"{path}: {example.text!r} is translated otherwise than by the export"
            )


def _describe(
    bundle: Bundle,
    precision: str,
    provider: str,
    limits: EngineLimits,
    silent_ids: tuple[int, ...],
) -> ServedModel:
    manifest = bundle.manifest
    return ServedModel(
        name=manifest.name,
        version=manifest.version,
        sha256=hashlib.sha256((bundle.path / MANIFEST).read_bytes()).hexdigest(),
        precision=precision,
        provider=provider,
        num_workers=limits.num_workers,
        languages={language.code: language.name for language in manifest.languages},
        tag_ids={(d.source, d.target): d.tag_id for d in manifest.directions},
        formality_ids={(d.source, d.target): d.formality_ids for d in manifest.directions},
        eos_id=manifest.special_ids.eos_id,
        silent_ids=silent_ids,
        length_penalty=manifest.decoding.length_penalty,
        length_penalty_formula=manifest.decoding.length_penalty_formula,
        max_source_tokens=limits.max_source_tokens,
        max_target_tokens=limits.max_target_tokens,
        max_target_ratio=manifest.decoding.max_target_ratio,
        scores=manifest.scores,
    )
