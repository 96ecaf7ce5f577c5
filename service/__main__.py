"""`python -m service`: settings, logging, then the server."""

import argparse
import contextlib
import logging
import math
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any

import uvicorn
from fastapi import FastAPI

from service.app import create_app
from service.errors import BundleError, SettingsError
from service.loading import load_backend
from service.logs import configure_logging, log_event
from service.machine import read_machine
from service.settings import Settings, load_settings

_BACKLOG = 2_048
# Longer than a proxy keeps its idle connections to us (nginx and others: 60 s), so that it is never
# we who close one just as the proxy sends a request, which would be lost.
_KEEP_ALIVE_SECONDS = 75


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM, and return the exit status of the process."""
    parser = argparse.ArgumentParser(
        prog="dragoman serve",
        description="Serve a bundle over HTTP. Every setting is a DRAGOMAN_* variable, too.",
    )
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", help="TCP port (8000)")
    parser.add_argument("--bundle", metavar="FOLDER", help="exported model (the one shipped)")
    return serve(**vars(parser.parse_args(argv)))


def serve(**overrides: Any) -> int:
    """Serve with the settings of the environment and these.

    Args:
        overrides: fields of `Settings` by name; None stands for "not given".

    Returns:
        0 after a stop by signal; 2 for a wrong setting or bundle; 1 if the engine failed. Where the
        application cannot start at all, the server ends the process with 3.
    """
    try:
        settings = load_settings(**overrides)
        listener = _listen(settings)
    except SettingsError as error:
        return _complain(error, 2)
    configure_logging(settings.log_level)
    with listener:
        failure = _run(settings, listener)
    if failure is None:
        return 0
    if isinstance(failure, BundleError):
        return _complain(failure, 2)
    log_event(logging.CRITICAL, "failed", error=failure)
    return 1


def _run(settings: Settings, listener: socket.socket) -> BaseException | None:
    """Run the server to its end; return what ended it, if that was no signal."""
    failures: list[BaseException] = []

    def stop(error: BaseException) -> None:
        failures.append(error)
        server.should_exit = True

    app = create_app(settings, load_backend, stop)
    server = uvicorn.Server(server_config(app, settings))
    # The server drains on a signal, then raises it again for what was there before: end in peace.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # The server looks around ten times a second, so a wish is seen though nothing else happens.
    signal.signal(signal.SIGHUP, lambda *_: app.state.service.reload())
    host, port = listener.getsockname()[:2]
    log_event(logging.INFO, "listening", url=f"http://{_bracket(host)}:{port}")
    log_event(logging.INFO, "machine", **read_machine().facts())
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    return failures[0] if failures else None


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How the server that carries `app` behaves."""
    return uvicorn.Config(
        app,
        access_log=False,  # it would log the query, where some clients put the source text
        lifespan="on",
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        ws="none",
    )


def _listen(settings: Settings) -> socket.socket:
    """Open the port before anything is loaded, so that a port in use is told at once."""
    where = f"{_bracket(settings.host)}:{settings.port}"
    try:
        family, *_, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM
        )[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        hint = "choose another with --port or DRAGOMAN_PORT, or --host or DRAGOMAN_HOST"
        raise SettingsError(f"cannot listen on {where}: {error.strerror}; {hint}") from None


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _complain(error: Exception, status: int) -> int:
    print(f"dragoman serve: {error}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
