"""The learning rate, as a pure function of the update."""

import math


def learning_rate(
    update: int,
    *,
    peak: float,
    warmup_updates: int,
    max_updates: int,
    cooldown_updates: int = 0,
    plateau: bool = False,
) -> float:
    """Rise linearly to `peak`, fall with 1/sqrt(update), and end in a straight line to zero.

    Without cool-down this is the paper's schedule with its peak spelled out:
    peak = (d_model * warmup_updates) ** -0.5.

    Args:
        update: counted from 1.
        plateau: stay at `peak` instead of falling, so that the end need not be known early.
        cooldown_updates: how many of the last updates before `max_updates` fall linearly
            from the rate reached there to zero; 0 for none.
    Source: Vaswani et al. 2017, section 5.3, equation 3; the cool-down is Zhai et al. 2022
        ("Scaling Vision Transformers"), section 3.3.
    """
    cooldown_start = max_updates - cooldown_updates
    reached = min(update, cooldown_start) if cooldown_updates else update
    fallen = 1.0 if plateau else math.sqrt(warmup_updates / max(reached, 1))
    rate = peak * min(reached / warmup_updates, fallen)
    if cooldown_updates and update > cooldown_start:
        rate *= max(0.0, (max_updates - update) / cooldown_updates)
    return rate
