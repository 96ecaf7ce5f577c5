"""The one command: `dragoman train | evaluate | export | serve | translate | doctor`, and more.

Each sub-command imports its package only when it runs, so that serving needs no PyTorch, and help
needs nothing at all.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module, metadata
from textwrap import dedent
from typing import Any

OWN_PACKAGES = frozenset({"model", "export", "service"})


Main = Callable[[list[str]], int]


def main_of(module: str) -> Main:
    """The `main(argv) -> status` of a module, imported when it is called."""

    def run(arguments: list[str]) -> int:
        status: int = import_module(module).main(arguments)
        return status

    return run


def evaluate(arguments: list[str]) -> int:
    """Training has the scores, serving the engine: here they meet."""

    def translate_with_bundle(*request: Any) -> Any:
        return import_module("service.offline").translate_texts(*request)

    status: int = import_module("model.evaluate").main(arguments, translate_with_bundle)
    return status


def serve(arguments: list[str]) -> int:
    """Decide what signals do, then import the service, which takes a while, and run it.

    By default SIGHUP ends a process, and SIGTERM does not end process 1 of a container.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nothing is read yet that could be read again
    # At once: an exception that comes in the middle of an import may be lost.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    return main_of("service.__main__")(arguments)


@dataclass(frozen=True, kw_only=True)
class Command:
    """A sub-command: what it runs, and the extra that must be installed for it."""

    main: Main
    extra: str
    summary: str


COMMANDS = {
    "train": Command(
        main=main_of("model.train"), extra="train", summary="train a model from a recipe (TOML)"
    ),
    "back-translate": Command(
        main=main_of("model.back_translate"),
        extra="train",
        summary="make sources for sentences that have none, to train on",
    ),
    "evaluate": Command(
        main=evaluate, extra="train", summary="print BLEU and chrF on a test set, check behaviour"
    ),
    "export": Command(
        main=main_of("export.__main__"),
        extra="export",
        summary="turn a checkpoint into a bundle (ONNX)",
    ),
    "serve": Command(main=serve, extra="service", summary="serve a bundle over HTTP"),
    "translate": Command(
        main=main_of("service.cli"),
        extra="service",
        summary="translate text, files or standard input",
    ),
    "doctor": Command(
        main=main_of("service.doctor"),
        extra="service",
        summary="show what serving would find here, and choose",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command, and return the exit status of the process."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # Only the first word is read here: what follows it belongs to the sub-command, `--help` too.
    name = _build_parser().parse_args(arguments[:1]).command
    try:
        status = _run(name, arguments[1:])
        sys.stdout.flush()  # here, where a closed pipe is still ours to handle
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # The reader (`head`, a pager) has gone. Python flushes once more as it exits: to nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return status


def _run(name: str, arguments: list[str]) -> int:
    command = COMMANDS[name]
    try:
        return command.main(arguments)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in OWN_PACKAGES:
            raise  # a file of ours is missing: no extra brings it back
        print(
            f"dragoman {name} needs the {command.extra} extra ({error}): "
            f'pip install "dragoman[{command.extra}]", or `make setup` in a checkout',
            file=sys.stderr,
        )
        return 1


def _build_parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    parser = argparse.ArgumentParser(
        prog="dragoman",
        description="Machine translation: train a model, export it, serve it.",
        usage="dragoman [-h] [--version] COMMAND ...",
        epilog=dedent("""\
            commands:
            {commands}

            `dragoman COMMAND --help` tells more about one of them.""").format(
            commands="\n".join(f"  {name:{width}}  {c.summary}" for name, c in COMMANDS.items())
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"dragoman {_version()}")
    parser.add_argument("command", metavar="COMMAND", choices=COMMANDS, help="one of those below")
    return parser


def _version() -> str:
    try:
        return metadata.version("dragoman")
    except metadata.PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
