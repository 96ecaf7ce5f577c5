"""What the service finds here, and what it would choose: `dragoman doctor`."""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from service.bundle import Bundle, load_bundle
from service.engine.device import runtime_facts
from service.errors import BundleError, SettingsError
from service.execution import Execution, choose_execution
from service.machine import Machine, read_machine
from service.settings import Settings, load_settings

# Measured with the bundled model: Python, the libraries and the language detector.
_BASE_BYTES = 120_000_000
_WEIGHT_COPIES = 1.25
"""onnxruntime keeps most weights packed for its matrix products, and some as in the file, too.

Measured with the bundled model's float32 and int8 graphs: 1.0 to 1.25 times the file's size.
"""

Facts = Mapping[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the findings; return 0 if all is well, 1 if serving would fail or lack memory."""
    parser = argparse.ArgumentParser(
        prog="dragoman doctor",
        description="Show what `dragoman serve` would find here, and choose. It reads the same "
        "DRAGOMAN_* variables, opens no port and starts no engine.",
    )
    parser.add_argument("--bundle", metavar="FOLDER", help="exported model (the one shipped)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args(argv)
    try:
        settings = load_settings(bundle=arguments.bundle)
        bundle = load_bundle(settings.bundle)
        report = examine(settings, bundle, read_machine())
    except (SettingsError, BundleError) as error:
        print(f"dragoman doctor: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps(report, indent=2))
    else:
        _print_table(report)
    return 1 if report["warnings"] else 0


def examine(settings: Settings, bundle: Bundle, machine: Machine) -> dict[str, Any]:
    """Put together what is found, what is chosen, and what is wrong with that.

    Returns:
        Facts under "found" and "chosen", sentences under "warnings"; all of it fit for JSON.

    Raises:
        BundleError: if the bundle lacks the precision.
    """
    version, providers = runtime_facts()
    manifest = bundle.manifest
    found = {
        **machine.facts(),
        "onnxruntime": version,
        "providers": providers,
        "bundle": str(bundle.path),
        "model": f"{manifest.name} {manifest.version}",
        "precisions": list(manifest.graphs),
    }
    execution = choose_execution(bundle, settings.provider, settings.precision)
    chosen = _choose(settings, bundle, execution)
    warnings = [*execution.warnings, *_warnings(chosen, machine)]
    return {"found": found, "chosen": chosen, "warnings": warnings}


def _choose(settings: Settings, bundle: Bundle, execution: Execution) -> dict[str, Any]:
    manifest = bundle.manifest
    graphs = manifest.graphs[execution.precision]
    limits = settings.engine_limits(manifest.decoding.max_source_tokens, execution.device)
    weight_bytes = sum(manifest.files[name].bytes for name in graphs.file_names)
    cache_bytes = limits.most_cache_tokens * manifest.model.cache_token_bytes
    return {
        "precision": execution.precision,
        "provider": execution.provider,
        "threads": limits.num_workers,
        "slots_per_thread": settings.slots,
        "weight_bytes": weight_bytes,
        "most_cache_bytes": cache_bytes,
        "most_memory_bytes": round(_BASE_BYTES + _WEIGHT_COPIES * weight_bytes + cache_bytes),
    }


def _warnings(chosen: Facts, machine: Machine) -> Iterable[str]:
    if chosen["most_memory_bytes"] > machine.memory_bytes:
        yield (
            f"up to {_megabytes(chosen['most_memory_bytes'])} may be needed and there are "
            f"{_megabytes(machine.memory_bytes)}; raise the limit, or lower "
            "DRAGOMAN_THREADS, DRAGOMAN_SLOTS or DRAGOMAN_MAX_TARGET_TOKENS"
        )
    if chosen["threads"] > machine.cpus:
        yield f"{chosen['threads']} threads share {machine.cpus} CPUs; lower DRAGOMAN_THREADS"


def _print_table(report: Facts) -> None:
    for part in ("found", "chosen"):
        for number, (name, value) in enumerate(report[part].items()):
            heading = "" if number else part
            print(f"{heading:8}{name.removesuffix('_bytes'):20}{_say(name, value)}")
    for warning in report["warnings"]:
        print(f"warning: {warning}")


def _say(name: str, value: Any) -> str:
    if value is None:
        return "no limit"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return _megabytes(value) if name.endswith("_bytes") else str(value)


def _megabytes(number: int) -> str:
    return f"{number / 1e6:.0f} MB"


if __name__ == "__main__":
    sys.exit(main())
