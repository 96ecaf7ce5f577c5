"""A machine without a network: loopback is all there is.

Run as a module, this is what happens inside: start the service, ask it, and print the answer.
"""

import asyncio
import fcntl
import json
import socket
import struct
import subprocess
import sys
from pathlib import Path

from deploy.chaos.promise import Outcome, Scenario, judge, not_run
from deploy.chaos.server import ask, serving
from deploy.chaos.storm import SENTENCE

INSIDE = ("unshare", "--map-root-user", "--net")
# Variables by which libraries know that they must not report home; ours has to tell them itself.
UNTOLD = ("env", "--unset=ORT_DISABLE_TELEMETRY", "--unset=CI")
INSIDE_SECONDS = 90.0
QUIET_SECONDS = 15.0  # a library that reports home was seen to wait for 12
FAR_AWAY = ("192.0.2.1", 80)  # RFC 5737: an address for documentation, nobody's
SET_FLAGS, IS_UP = 0x8914, 0x1  # SIOCSIFFLAGS and IFF_UP of Linux


async def _isolate(bundle: Path) -> Outcome:
    refused = await asyncio.to_thread(subprocess.run, [*INSIDE, "true"], capture_output=True)
    if refused.returncode:
        return not_run(f"no network namespace may be made here: {refused.stderr.decode().strip()}")
    async with serving(bundle) as server:
        before = await ask(server.url, SENTENCE)
    inside = await asyncio.to_thread(
        subprocess.run,
        [*INSIDE, sys.executable, "-m", __name__, str(bundle)],
        capture_output=True,
        timeout=INSIDE_SECONDS,
    )
    if inside.returncode:
        return judge(False, (inside.stderr.decode().splitlines() or ["no message"])[-1])
    told = json.loads(inside.stdout)
    same = told["answer"] == before.body.decode()
    return judge(
        before.status == 200 and same and told["wishes"] == 0 and told["is_seen"],
        f"ready after {told['seconds']:.1f} s; {'same' if same else 'other'} answer; "
        f"{told['wishes']} addresses asked for in {QUIET_SECONDS:.0f} s",
    )


async def _inside(bundle: Path) -> None:
    _bring_loopback_up()
    async with serving(bundle, within=UNTOLD) as server:
        answer = await ask(server.url, SENTENCE)
        await asyncio.sleep(QUIET_SECONDS)
    wishes = _count_wishes()
    told = {
        "answer": answer.body.decode(),
        "seconds": server.start_seconds,
        "wishes": wishes,
        "is_seen": not _is_reachable() and _count_wishes() > wishes,
    }
    print(json.dumps(told))


def _bring_loopback_up() -> None:
    """As `ip link set lo up`, for machines that have no such command."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh14x", b"lo", IS_UP))


def _count_wishes() -> int:
    """How often anybody here wanted to reach another machine, by the kernel's count."""
    ip4 = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines()]
    names, values = (fields for fields in ip4 if fields[0] == "Ip:")
    ip6 = dict(line.split() for line in Path("/proc/net/snmp6").read_text().splitlines())
    return int(values[names.index("OutNoRoutes")]) + int(ip6.get("Ip6OutNoRoutes", 0))


def _is_reachable() -> bool:
    """Whether the kernel knows a way to another machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        return datagrams.connect_ex(FAR_AWAY) == 0


NO_NETWORK = Scenario(
    name="no network at all",
    promise="It starts and answers as with one, and asks for no other machine.",
    run=_isolate,
)


if __name__ == "__main__":
    asyncio.run(_inside(Path(sys.argv[1])))
