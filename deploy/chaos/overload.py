"""More requests than can be answered, up to five times as many."""

from pathlib import Path
from random import Random

from deploy.bench.sentences import BUNDLED, load_sentences
from deploy.chaos.promise import Outcome, Scenario, judge
from deploy.chaos.server import serving
from deploy.loadtest.plan import Plan
from deploy.loadtest.run import run
from deploy.loadtest.texts import mixed_texts
from deploy.loadtest.thresholds import Thresholds
from deploy.loadtest.users import SEED

NUM_TEXTS = 1_000
PLAN = Plan(users=(16,), shares=(1.0, 2.0, 5.0), closed_seconds=8.0, seconds=10.0)


async def _overload(bundle: Path) -> Outcome:
    texts = mixed_texts(load_sentences(BUNDLED), NUM_TEXTS, Random(SEED))
    async with serving(bundle) as server:
        stages, _ = await run(PLAN, server.url, texts)
    open_stages = [stage for stage in stages if stage.share is not None]
    missed = Thresholds().missed(open_stages)
    figures = "; ".join(
        f"{stage.share:g} x: {stage.goodput:.0f} of {stage.offered:.0f}/s in time"
        + (f", refused in {stage.refusal_p95 * 1e3:.0f} ms at p95" if stage.refusal_p95 else "")
        for stage in open_stages
    )
    return judge(not missed, "; ".join([figures, *missed]))


OVERLOAD = Scenario(
    name="1 to 5 times as many requests as it can answer",
    promise="Goodput stays within 20 % of that at 1 x, refusals take 50 ms at p95.",
    run=_overload,
)
