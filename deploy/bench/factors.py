"""What each next factor would be worth: a decoder step with it beside one without, in alternation.

The graphs are those of a bundle, changed as `factor_graphs` says. Whether a factor leaves the
translations as they are is looked at, by decoding the sentences of the plan greedily with each.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import onnx
from rich.console import Console

from deploy.bench.factor_graphs import (
    Array,
    Variant,
    block_of,
    plain,
    shortlisted,
    unrolled,
    with_int8_caches,
)
from deploy.bench.factor_loop import Loop
from deploy.bench.operators import CAPACITY, PAST, SOURCE, by_operator
from deploy.bench.peers import MAX_TARGET_TOKENS, Files, Ids
from deploy.bench.plan import Plan
from deploy.bench.sentences import Sentence
from deploy.bench.summary import Ratio, ratio
from model import checkpoint
from service.bundle import load_bundle
from service.engine.runner import Runner

ROWS = (1, 8, 32)
SHORTLIST = 4_000  # tokens, to the nearest block
FEWEST_BLOCKS = 16  # that the candidates of a beam are taken from
STEPS, WARM_UP = 10, 5  # runs of a lap, and before the first one
LAPS = 31  # at least, as a lap takes little time
PRECISION = "int8"
ATTENTION = "GroupQueryAttention"
CACHES = "int8 keys and values"


class Decoded(NamedTuple):
    """What a greedy search found: tokens, and the normaliser of each step, bit for bit."""

    token_ids: list[list[int]]
    normalisers: list[list[float]]


@dataclass(frozen=True, kw_only=True)
class Factor:
    """One line of the table.

    Attributes:
        ratios: by rows, how many times as fast as the plain step, for each token.
        outputs: what became of the translations, in words.
    """

    subject: str
    name: str
    ratios: Mapping[int, Ratio]
    outputs: str


def run_factors(
    plan: Plan, models: Mapping[str, Files], sentences: Sequence[Sentence], console: Console
) -> list[dict[str, Any]]:
    """Measure all factors on the int8 decoders of a plan, and print a table in Markdown."""
    found = []
    for subject, files in models.items():
        tokenizer = checkpoint.load(files.checkpoint).tokenizer
        sources = [sentence.ids(tokenizer) for sentence in sentences]
        factors = measure(subject, files.bundle, sources, num_laps=max(LAPS, plan.laps))
        console.print(f"\n{table(factors)}", soft_wrap=True)
        found += factors
    return [asdict(factor) for factor in found]


def measure(
    subject: str, bundle: Path, sources: Sequence[Ids], *, num_laps: int, rows: Sequence[int] = ROWS
) -> list[Factor]:
    """Every factor on the decoder of one bundle.

    Args:
        sources: token ids of sentences that are decoded with each.
    """
    runner = Runner.load(load_bundle(bundle), PRECISION)
    cross = runner.encode(sources)
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    model = onnx.load(bundle / manifest["graphs"][PRECISION]["decoder"])
    search = Search(cross, [len(source) for source in sources], runner.bos_id, runner.eos_id)
    base = plain(model)
    wanted, largest = search.decode(base)
    shortlist = first_tokens(model, manifest["model"]["vocab_size"])
    tokens = f"{len(shortlist):,} tokens"
    variants = {
        f"shortlist of {tokens}, for each batch": shortlisted(model, shortlist, is_fed=True),
        f"shortlist of {tokens}, one for all": shortlisted(model, shortlist, is_fed=False),
        CACHES: with_int8_caches(model, largest),
        "two steps a run": unrolled(model),
    }
    outputs = {name: compare(search.decode(each)[0], wanted) for name, each in variants.items()}
    ratios = {count: race_steps(base, variants, count, num_laps) for count in rows}
    factors = [
        Factor(
            subject=subject,
            name=name,
            ratios={count: ratios[count][name] for count in rows},
            outputs=outputs[name],
        )
        for name in variants
    ]
    return [*factors, _attention(subject, base, variants[CACHES], rows, num_laps)]


def first_tokens(model: onnx.ModelProto, vocab_size: int) -> Array:
    """A stand-in for a shortlist: the tokens that a tokenizer puts first, as the most frequent."""
    block = block_of(model)
    num_blocks = min(max(round(SHORTLIST / block), FEWEST_BLOCKS), vocab_size // block)
    return np.arange(num_blocks * block, dtype=np.int64)


class Search:
    """Greedy decoding of some sentences at once, with any variant."""

    def __init__(self, cross: Array, lengths: Sequence[int], bos_id: int, eos_id: int) -> None:
        self._cross = cross  # (place, segment, heads, source, head_dim)
        self._lengths, self._bos_id, self.eos_id = lengths, bos_id, eos_id

    def decode(self, variant: Variant) -> tuple[Decoded, dict[str, Array]]:
        """What was found, and of each cache and channel the largest magnitude."""
        loop = Loop(
            variant,
            rows=len(self._lengths),
            source=self._cross.shape[3],
            capacity=MAX_TARGET_TOKENS + len(variant.chosen),
        )
        loop.read_sources(self._cross, self._lengths)
        loop.arrays["ids"][:] = self._bos_id
        tokens: list[Array] = []
        normalisers: list[Array] = []
        while len(tokens) < MAX_TARGET_TOKENS and not self._are_done(tokens):
            loop.run()
            for name in variant.chosen:
                tokens.append(loop.arrays[name].copy())
                source = name.replace("next_ids", "log_normalisers")
                normalisers.append(loop.arrays[source].copy())
            loop.go_on()
        ends = [self._end(row) for row in np.transpose(tokens).tolist()]
        rows = zip(np.transpose(tokens).tolist(), np.transpose(normalisers).tolist(), strict=True)
        cut = [(ids[:end], sums[:end]) for end, (ids, sums) in zip(ends, rows, strict=True)]
        return Decoded([ids for ids, _ in cut], [sums for _, sums in cut]), loop.largest()

    def _are_done(self, tokens: Sequence[Array]) -> bool:
        return bool(tokens) and bool((np.array(tokens) == self.eos_id).any(axis=0).all())

    def _end(self, token_ids: Sequence[int]) -> int:
        """How many tokens count, `eos` included."""
        if self.eos_id in token_ids:
            return token_ids.index(self.eos_id) + 1
        return min(len(token_ids), MAX_TARGET_TOKENS)


def compare(found: Decoded, wanted: Decoded) -> str:
    """In words, how far the translations and the scores of their tokens are the same."""
    total = len(wanted.token_ids)
    if found == wanted:
        return f"all {total} unchanged, bit for bit"
    same = sum(a == b for a, b in zip(found.token_ids, wanted.token_ids, strict=True))
    return f"{same} of {total} the same, with other scores"


def race_steps(
    base: Variant, variants: Mapping[str, Variant], rows: int, num_laps: int
) -> dict[str, Ratio]:
    """How many times as fast as `base` each variant chooses a token, in turns.

    By processor time, as all runs on this thread: what else the machine does weighs less.
    """
    loops = {name: _timed(each, rows) for name, each in {"": base, **variants}.items()}
    speeds: dict[str, list[float]] = {name: [] for name in loops}
    for lap in range(num_laps):
        for name in list(loops)[:: -1 if lap % 2 else 1]:
            started = time.thread_time()
            for _ in range(STEPS):
                loops[name].run()
            tokens = STEPS * len(loops[name].variant.chosen)
            speeds[name].append(tokens / (time.thread_time() - started))
    return {name: ratio(speeds[name], speeds[""]) for name in variants}


def _timed(variant: Variant, rows: int, profile: str = "") -> Loop:
    """A loop in the middle of sentences, that has run already."""
    loop = Loop(variant, rows=rows, source=SOURCE, capacity=CAPACITY, profile=profile)
    loop.stand_at(PAST, SOURCE)
    for _ in range(WARM_UP):
        loop.run()
    return loop


def _attention(
    subject: str, base: Variant, variant: Variant, rows: Sequence[int], num_laps: int
) -> Factor:
    """Of `variant` the attention alone, by onnxruntime's profiler, and its share of a step."""
    ratios, shares = {}, []
    for count in rows:
        with TemporaryDirectory() as folder:
            loops = [_timed(each, count, f"{folder}/{n}") for n, each in enumerate((base, variant))]
            for _ in range(num_laps * STEPS):
                for loop in loops:
                    loop.run()
            ours, other = (by_operator(loop.profile())[0] for loop in loops)
        ratios[count] = ratio([1 / other[ATTENTION]], [1 / ours[ATTENTION]])
        shares.append(f"{ours[ATTENTION] / sum(ours.values()):.0%}")
    name = f"{CACHES}: of attention alone, {' / '.join(shares)} of a step"
    return Factor(subject=subject, name=name, ratios=ratios, outputs="as above")


def table(factors: Sequence[Factor]) -> str:
    """The factors of one model in Markdown."""
    rows = list(factors[0].ratios)
    head = [factors[0].subject, *(f"{count} row{'s' * (count > 1)}" for count in rows)]
    lines = [[*head, "greedy translations"], ["---"] * (len(head) + 1)]
    for factor in factors:
        middles = [f"{factor.ratios[count].middle:.2f}" for count in rows]
        lines.append([factor.name, *middles, factor.outputs])
    raced = [each for factor in factors for each in factor.ratios.values() if each.rounds > 1]
    spread = median(each.high - each.low for each in raced) if raced else 0.0
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{text}\n\nThe middle half of the laps lies within {spread:.2f}, in the median."
