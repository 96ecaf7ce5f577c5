"""What a request wishes of decoding, checked against the limits and made into engine options."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from service.characters import check_characters
from service.engine.options import DecodingOptions, Sampling
from service.errors import IncompatibleOptions, InvalidOption
from service.served_model import ServedModel
from service.settings import Settings
from service.translation import OptionsWish

MAX_SUPPRESSED_TEXTS = 32
MAX_SUPPRESSED_TOKENS = 32  # of one such text

# What a request may ask for where neither the bundle nor a setting has a say.
RANGES: dict[str, tuple[float, float]] = {
    "length_penalty": (0.0, 10.0),
    "max_target_ratio": (0.1, 20.0),
    "repetition_penalty": (0.1, 10.0),
    "no_repeat_ngram_size": (0, 16),
    "temperature": (0.01, 10.0),
    "top_k": (1, 10_000),
    "top_p": (0.01, 1.0),
    "seed": (0, 2**53 - 1),  # what a JSON number keeps everywhere
}

Encode = Callable[[str], list[int]]
Number = TypeVar("Number", int, float)


@dataclass(frozen=True, kw_only=True)
class OptionsPlan:
    """Options of a request, but for what depends on the segment.

    Attributes:
        model: whose limits hold.
        shared: what all segments have in common.
        target_prefix: tokens that the first segment of a text begins with.
        max_target_ratio: most target tokens per source token; None where only the fixed limit of
            `shared` was asked for.
    """

    model: ServedModel
    shared: DecodingOptions
    target_prefix: tuple[int, ...]
    max_target_ratio: float | None

    def of_segment(self, index: int, num_source_tokens: int) -> DecodingOptions:
        """Options of a text's `index`-th segment."""
        options = self.shared
        if index == 0:
            options = replace(options, target_prefix=self.target_prefix)
        elif options.return_alternatives:  # those of the text are those of its first segment
            options = replace(options, beam_size=1, num_hypotheses=1, return_alternatives=False)
        if self.max_target_ratio is None:
            return options
        by_ratio = self.model.target_limit(num_source_tokens, self.max_target_ratio)
        needed = max(by_ratio + len(options.target_prefix), options.min_target_tokens + 1)
        return replace(options, max_target_tokens=min(needed, options.max_target_tokens))


def plan_options(
    wish: OptionsWish, model: ServedModel, settings: Settings, encode: Encode
) -> OptionsPlan:
    """Check a wish and fill it up with defaults.

    Args:
        wish: with a seed if it asks for sampling; see `OptionsWish.with_seed`.
        encode: turns text into tokens.

    Raises:
        InvalidOption: if an option is outside its range.
        IncompatibleOptions: if two of them do not go together.
        InvalidText: if a text of theirs is no Unicode text.
    """
    _check_ranges(wish)
    _check_combination(wish)
    num_hypotheses = _within(
        "num_hypotheses", _or(wish.num_hypotheses, 1), 1, settings.max_alternatives + 1
    )
    min_target_tokens, max_target_tokens = _target_limits(wish, model)
    default_ratio = model.max_target_ratio if wish.max_target_tokens is None else None
    return OptionsPlan(
        model=model,
        shared=DecodingOptions(
            beam_size=_beam_size(wish, num_hypotheses, settings),
            num_hypotheses=num_hypotheses,
            length_penalty=_or(wish.length_penalty, model.length_penalty),
            length_penalty_formula=wish.length_penalty_formula or model.length_penalty_formula,
            max_target_tokens=max_target_tokens,
            min_target_tokens=min_target_tokens,
            repetition_penalty=_or(wish.repetition_penalty, 1.0),
            no_repeat_ngram_size=_or(wish.no_repeat_ngram_size, 0),
            suppressed_sequences=_suppressed_sequences(wish.suppressed_texts, encode),
            silent_ids=model.silent_ids,
            return_alternatives=wish.return_alternatives,
            sampling=_sampling(wish),
        ),
        target_prefix=_target_prefix(wish.target_prefix, max_target_tokens - 1, encode),
        max_target_ratio=wish.max_target_ratio or default_ratio,
    )


def _check_ranges(wish: OptionsWish) -> None:
    for name, (low, high) in RANGES.items():
        value = getattr(wish, name)
        if value is not None:
            _within(name, value, low, high)


def _check_combination(wish: OptionsWish) -> None:
    if wish.seed is not None and not wish.is_sampling:
        raise IncompatibleOptions("seed needs temperature, top_k or top_p beside it")
    if wish.is_sampling and wish.return_alternatives:
        raise IncompatibleOptions(
            "return_alternatives does not go with temperature, top_k and top_p: "
            "alternatives are gone on from greedily"
        )
    if not wish.has_beam and (beam_size := _or(wish.beam_size, 1)) > 1:
        raise IncompatibleOptions(
            "beam_size does not go with temperature, top_k, top_p and return_alternatives: "
            f"it is {beam_size}; the limit is 1",
            value=beam_size,
            limit=1,
        )


def _target_limits(wish: OptionsWish, model: ServedModel) -> tuple[int, int]:
    """Least and most target tokens of any segment."""
    most = _or(wish.max_target_tokens, model.max_target_tokens)
    _within("max_target_tokens", most, 1, model.max_target_tokens)
    return _within("min_target_tokens", _or(wish.min_target_tokens, 0), 0, most), most


def _beam_size(wish: OptionsWish, num_hypotheses: int, settings: Settings) -> int:
    if not wish.has_beam:
        return num_hypotheses  # each grows by itself
    beam_size = _or(wish.beam_size, max(settings.beam_size, num_hypotheses))
    return _within("beam_size", beam_size, num_hypotheses, settings.max_beam_size)


def _sampling(wish: OptionsWish) -> Sampling | None:
    if not wish.is_sampling:
        return None
    assert wish.seed is not None, "a wish for sampling came without a seed. This is a bug."
    return Sampling(
        seed=wish.seed,
        temperature=_or(wish.temperature, 1.0),
        top_k=_or(wish.top_k, 0),
        top_p=_or(wish.top_p, 1.0),
    )


def _suppressed_sequences(texts: Sequence[str], encode: Encode) -> tuple[tuple[int, ...], ...]:
    _within("number of suppressed_texts", len(texts), 0, MAX_SUPPRESSED_TEXTS)
    sequences = []
    for index, text in enumerate(texts):
        name = f"suppressed_texts.{index}"
        token_ids = _encode(name, text, encode)
        sequences.append(token_ids)
        _within(f"number of tokens of {name}", len(token_ids), 1, MAX_SUPPRESSED_TOKENS)
    return tuple(sequences)


def _target_prefix(text: str, max_tokens: int, encode: Encode) -> tuple[int, ...]:
    token_ids = _encode("target_prefix", text, encode)
    _within("number of tokens of target_prefix", len(token_ids), 0, max_tokens)
    return token_ids


def _encode(name: str, text: str, encode: Encode) -> tuple[int, ...]:
    """Tokens of a text without the white space around it, none of a blank one."""
    check_characters(text, name)
    return tuple(encode(text.strip())) if text.strip() else ()


def _or(wish: Number | None, default: Number) -> Number:
    return default if wish is None else wish


def _within(name: str, value: Number, low: float, high: float) -> Number:
    if not low <= value <= high:  # NaN is outside, too
        raise InvalidOption(
            f"{name} is {value}; the limit is {low} to {high}", value=value, limit=high
        )
    return value
