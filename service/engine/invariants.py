"""What always holds between two steps of the engine."""

from dataclasses import dataclass

from service.engine.job import JobState


@dataclass(frozen=True)
class Snapshot:
    """The engine between two steps.

    Attributes:
        num_rows: slots that a step works on; no other one is busy.
        slots_by_job: slots of each running job; states: where each stands.
        lengths: tokens cached in each slot of a step; limits: most tokens of each hypothesis.
    """

    num_busy: int
    num_rows: int
    max_slots: int
    slots_by_job: tuple[tuple[int, ...], ...]
    states: tuple[JobState, ...]
    lengths: tuple[int, ...]
    limits: tuple[int, ...]


def check_invariants(snapshot: Snapshot) -> list[str]:
    """All violations, in words; empty when the engine is sound."""
    violations = []
    owned = sorted(slot for slots in snapshot.slots_by_job for slot in slots)
    is_once = len(set(owned)) == len(owned) == snapshot.num_busy
    if not is_once or any(slot >= snapshot.num_rows for slot in owned):
        violations.append(f"{snapshot.num_busy} slots are busy, but jobs own {owned}")
    if snapshot.num_busy > snapshot.max_slots:
        violations.append(f"{snapshot.num_busy} busy slots of {snapshot.max_slots}")
    for state in snapshot.states:
        if state is not JobState.DECODING:
            violations.append(f"a job with slots is {state.name}")
    limit_by_slot = dict(
        zip((s for slots in snapshot.slots_by_job for s in slots), snapshot.limits, strict=True)
    )
    for slot, length in enumerate(snapshot.lengths):
        if length >= limit_by_slot.get(slot, length + 1):
            violations.append(f"slot {slot} has {length} tokens of {limit_by_slot[slot]}")
    return violations
