"""Which provider runs which node of the graphs, as onnxruntime's own profile tells."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import onnxruntime

from deploy.bench.cuda_subject import MAX_TOKENS, Running, Subject
from service.engine.device import PROVIDERS
from service.engine.options import DecodingOptions

WANTED = 12  # kinds of nodes whose time is told


def measure_placement(subject: Subject) -> dict[str, Any]:
    """Count the nodes of each provider, name those on the CPU, and time the kinds of nodes."""
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
    nodes: dict[str, tuple[str, str]] = {}
    times: Counter[str] = Counter()
    for event in events:
        arguments = event.get("args", {})
        if event.get("cat") != "Node" or not arguments.get("provider"):
            continue
        if event["name"].endswith("_kernel_time"):
            nodes[event["name"]] = (arguments["provider"], arguments["op_name"])
            times[arguments["op_name"]] += event["dur"]
    total = sum(times.values()) or 1
    return {
        "providers": dict(Counter(provider for provider, _ in nodes.values())),
        "on the CPU": dict(Counter(op for provider, op in nodes.values() if "CPU" in provider)),
        "copies": dict(Counter(op for _, op in nodes.values() if op.startswith("Memcpy"))),
        "time": {op: f"{time / total:.0%}" for op, time in times.most_common(WANTED)},
    }
