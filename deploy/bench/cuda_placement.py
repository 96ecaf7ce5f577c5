"""Which provider runs which node of the graphs, as onnxruntime's own profile tells."""

import json
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

import onnxruntime

from deploy.bench.cuda_subject import MAX_TOKENS, Running, Subject
from service.engine.device import PROVIDERS
from service.engine.options import DecodingOptions

WANTED = 12  # kinds of nodes whose time is told


def measure_placement(subject: Subject) -> dict[str, Any]:
    """Count the nodes of each provider, name those on the CPU, and time the kinds of nodes.

    A GPU works on while the host goes on, so that these times are the host's.
    """
    runner = subject.runner("float16", subject.device)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_profiling = True
    providers = list(dict.fromkeys([PROVIDERS[subject.device], PROVIDERS["cpu"]]))
    profiled = {}
    for part, graph in (("encoder", runner.encoder), ("decoder", runner.decoder)):
        options.profile_file_prefix = str(subject.folder / part)
        graph.session = profiled[part] = onnxruntime.InferenceSession(
            subject.graph(part, "float16"), options, providers=providers
        )
    beam = DecodingOptions(beam_size=4, max_target_tokens=MAX_TOKENS)
    with Running(runner, slots=16) as engine:
        engine.translate([(source, beam) for source in subject.many(4)])
    found: dict[str, Any] = {}
    for part, session in profiled.items():
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        found |= {f"{part} {key}": value for key, value in _describe(events).items()}
    return found


def _describe(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each node the median of its times, as the first one waits for the kernel to be loaded."""
    nodes: dict[str, tuple[str, str]] = {}
    times: dict[str, list[int]] = {}
    for event in events:
        arguments, name = event.get("args", {}), event.get("name", "")
        if name.endswith("_kernel_time") and arguments.get("provider"):
            nodes[name] = (arguments["provider"], arguments["op_name"])
            times.setdefault(name, []).append(event["dur"])
    of_kind: Counter[str] = Counter()
    for name, (_, kind) in nodes.items():
        of_kind[kind] += round(statistics.median(times[name]))
    return {
        "providers": dict(Counter(provider for provider, _ in nodes.values())),
        "on the CPU": dict(Counter(kind for provider, kind in nodes.values() if "CPU" in provider)),
        "copies": dict(Counter(kind for _, kind in nodes.values() if kind.startswith("Memcpy"))),
        "host microseconds": dict(of_kind.most_common(WANTED)),
    }
