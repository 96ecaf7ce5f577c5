import os

import pytest
from pydantic import ValidationError

from service.errors import SettingsError
from service.settings import DEFAULT_BUNDLE, PREFIX, Settings, describe_range, load_settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)


def test_defaults_listen_on_this_machine_only_and_serve_the_shipped_bundle() -> None:
    settings = load_settings()

    assert (settings.host, settings.port, settings.bundle) == ("127.0.0.1", 8000, DEFAULT_BUNDLE)


def test_variables_are_read_and_the_command_line_comes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DRAGOMAN_PORT", "9000")
    monkeypatch.setenv("DRAGOMAN_SLOTS", "16")

    settings = load_settings(port="9001", host=None)

    assert (settings.port, settings.slots, settings.host) == (9001, 16, "127.0.0.1")


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_PORT", "")

    assert load_settings().port == 8000


def test_an_unknown_variable_is_refused_and_the_closest_one_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DRAGOMAN_PROT", "9000")

    with pytest.raises(SettingsError, match=r"unknown variable DRAGOMAN_PROT; .* DRAGOMAN_PORT"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PORT", "99999", "DRAGOMAN_PORT is '99999'; it must be a whole number from 0 to 65535"),
        ("PORT", "http", "DRAGOMAN_PORT is 'http'; it must be a whole number from 0 to 65535"),
        ("PRECISION", "int4", "DRAGOMAN_PRECISION is 'int4'; .* one of auto, int8, float32"),
        ("TIMEOUT_SECONDS", "nan", "DRAGOMAN_TIMEOUT_SECONDS is 'nan'; .* from 0.001 to 3600.0"),
        ("BEAM_SIZE", "9", "DRAGOMAN_BEAM_SIZE is 9; the limit is DRAGOMAN_MAX_BEAM_SIZE, 8"),
        ("SLOTS", "4", "DRAGOMAN_MAX_BEAM_SIZE is 8; the limit is DRAGOMAN_SLOTS, 4"),
        ("MAX_ALTERNATIVES", "8", "DRAGOMAN_MAX_ALTERNATIVES is 8; the limit is .*, 7"),
        (
            "TRACES_URL",
            "host:4318",
            "DRAGOMAN_TRACES_URL is .host:4318.; it must be an http address, or none",
        ),
    ],
)
def test_a_bad_value_is_told_with_variable_value_and_range(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(PREFIX + name, value)

    with pytest.raises(SettingsError, match=message):
        load_settings()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_has_a_meaning_and_a_range(name: str) -> None:
    field = Settings.model_fields[name]

    assert field.description
    assert describe_range(field) != "text" or name == "host"


def test_a_bundle_can_only_lower_the_limit_of_source_tokens() -> None:
    settings = Settings(max_source_tokens=100)

    assert settings.engine_limits(50).max_source_tokens == 50
    assert settings.engine_limits(500).max_source_tokens == 100
