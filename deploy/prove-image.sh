#!/usr/bin/env bash
# Build the image and prove the running container, as root, without a daemon: buildah and podman.
#
#   deploy/prove-image.sh                           on a base made of Debian packages (debootstrap)
#   BASE=python:3.13-slim-bookworm deploy/prove-image.sh    on the base of the Dockerfile
#
# On Debian: apt install --no-install-recommends buildah podman runc debootstrap
set -euo pipefail
cd "$(dirname "$0")/.."

BASE=${BASE:-localhost/python-stand-in:bookworm}
TARGET=${TARGET:-cpu}
IMAGE=localhost/dragoman:proof-$TARGET
NAME=dragoman-proof-$$
CERTIFICATES=/etc/ssl/certs/ca-certificates.crt # those of the host, for a package index behind it
podman=(podman --cgroup-manager=cgroupfs --runtime "${RUNTIME:-runc}")

inside() { "${podman[@]}" exec "$NAME" "$@"; }
say() { printf '%-28s %s\n' "$1" "$2"; }
megabytes() { awk -v bytes="$1" 'BEGIN { printf "%.0f MB", bytes / 1e6 }'; }
image_bytes() { podman image inspect --format '{{.Size}}' "$1"; }
fail() { echo "FAILED: $1" >&2; exit 1; }

make_base() {
    local root
    root=$(mktemp -d)
    debootstrap --variant=minbase \
        --include=python3,python3-pip,python3-venv,python-is-python3,ca-certificates \
        bookworm "$root" http://deb.debian.org/debian
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    tar -C "$root" -c . | podman import - "$BASE"
    rm -rf "$root"
}

stop() { "${podman[@]}" rm --force "$NAME" >/dev/null 2>&1 || true; }

if [[ $BASE == localhost/* ]] && ! podman image exists "$BASE"; then make_base; fi
buildah build --format docker --isolation chroot --network host --target "$TARGET" \
    --volume "$CERTIFICATES:$CERTIFICATES:ro" --build-arg "PYTHON_IMAGE=$BASE" --tag "$IMAGE" .
say "base, target" "$BASE, $TARGET"
say "image beyond its base" "$(megabytes $(($(image_bytes "$IMAGE") - $(image_bytes "$BASE"))))"

# The health check is run by hand below: podman's timer for it needs systemd.
trap stop EXIT
started=$(date +%s%N)
"${podman[@]}" run --detach --name "$NAME" --no-healthcheck --log-driver k8s-file \
    --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --network none \
    --memory "${MEMORY:-768m}" --cpus "${CPUS:-1}" --ulimit nofile=1024:1024 \
    --ulimit nproc=4096:4096 "$IMAGE" >/dev/null

until "${podman[@]}" logs "$NAME" 2>&1 | grep -q ' ready '; do
    (($(date +%s%N) - started < 60 * 10**9)) || fail "not ready after 60 seconds"
    sleep 0.1
done
say "ready after" "$((($(date +%s%N) - started) / 10**6)) ms"
say "processor time to there" "$(inside python -c \
    'print(sum(map(int, open("/proc/1/stat").read().split()[13:15])) * 10, "ms")')"
say "bundle" "$(megabytes "$(inside python -c 'from pathlib import Path
from service.settings import DEFAULT_BUNDLE
print(sum(file.stat().st_size for file in DEFAULT_BUNDLE.iterdir()))')")"
say "process 1" "$(inside python -c 'print(open("/proc/1/cmdline").read().replace("\0", " "))')"
say "user" "$(inside python -c 'import os; print(os.getuid(), os.getgid())')"

inside python -c "$(podman image inspect --format '{{index .HealthCheck.Test 3}}' "$IMAGE")"
say "health check" passed
say "translated" "$(inside dragoman translate --from de --to en "Guten Morgen!")"
inside python -c 'import torch' 2>/dev/null && fail "torch is in the image"
inside python -m pip --version >/dev/null 2>&1 && fail "pip is in the environment"
inside python -c 'open("/opt/dragoman/written", "w")' 2>/dev/null && fail "the root can be written"
say "no torch, no pip, read-only" yes
say "what it found" "$(inside dragoman doctor --json | python3 -c 'import json, sys
found = json.load(sys.stdin)["found"]
print({name: found[name] for name in ("cpus", "cpu_quota", "memory_limit_bytes")})')"
say "memory of the container" "$(megabytes "$(inside python -c \
    'print(int(open("/proc/1/statm").read().split()[1]) * 4096)')")"

"${podman[@]}" stop --time 30 "$NAME" >/dev/null
status=$("${podman[@]}" inspect --format '{{.State.ExitCode}}' "$NAME")
"${podman[@]}" logs "$NAME" 2>&1 | grep -q 'drained in_time=True' || fail "it did not drain"
say "exit status after SIGTERM" "$status"
[[ $status == 0 ]]
