import threading
from pathlib import Path

import pytest

from service import loading
from service.bundle import Bundle, GoldenExample, Manifest, SpecialIds
from service.errors import BundleError
from service.loading import check_golden, load_backend
from service.settings import Settings
from tests.bundles import write_bundle
from tests.service.stub_engine import EOS_ID, TAG_IDS, StubEngine, StubTokenizer


def bundle_with(text: str, translation: str) -> Bundle:
    encode = StubTokenizer().encode
    example = GoldenExample(
        source="de",
        target="en",
        text=text,
        source_ids=(TAG_IDS["de", "en"], *encode(text), EOS_ID),
        target_ids=(*encode(translation), EOS_ID),
    )
    special_ids = SpecialIds(pad_id=0, unk_id=0, bos_id=0, eos_id=EOS_ID)
    manifest = Manifest.model_construct(special_ids=special_ids)
    return Bundle(path=Path("bundle"), manifest=manifest, golden=(example,))


def test_golden_examples_that_come_out_right_pass(engine: StubEngine) -> None:
    check_golden(bundle_with("Hallo", "HALLO"), engine, Settings().engine_limits(256))

    assert len(engine.jobs) == 1


def test_a_golden_example_that_comes_out_otherwise_is_named(engine: StubEngine) -> None:
    with pytest.raises(BundleError, match=r"golden\.json: 'Hallo' is translated otherwise"):
        check_golden(bundle_with("Hallo", "HELLO"), engine, Settings().engine_limits(256))


def test_golden_examples_that_take_too_long_are_given_up(
    engine: StubEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_GOLDEN_SECONDS", 0.01)
    engine.gate.clear()

    with pytest.raises(BundleError, match=r"golden\.json: not all of it was translated in 0\.01 s"):
        check_golden(bundle_with("Hallo", "HALLO"), engine, Settings().engine_limits(256))


def test_a_golden_example_beyond_the_limits_is_left_out(engine: StubEngine) -> None:
    limits = Settings(max_source_tokens=8).engine_limits(256)

    check_golden(bundle_with("Hallo Welt", "never asked"), engine, limits)

    assert engine.jobs == []


def test_an_engine_whose_golden_examples_fail_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(threading.enumerate())

    def refuse(*_: object) -> None:
        assert set(threading.enumerate()) > before
        raise BundleError("translated otherwise")

    monkeypatch.setattr(loading, "check_golden", refuse)

    with pytest.raises(BundleError):
        load_backend(Settings(bundle=write_bundle(tmp_path)), lambda _: None)

    assert set(threading.enumerate()) <= before
