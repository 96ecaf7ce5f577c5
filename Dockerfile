# syntax=docker/dockerfile:1
# The server and its bundled model: `docker build -t dragoman .`, then
#   docker run --rm -p 8000:8000 --read-only --cap-drop ALL --tmpfs /tmp dragoman
# Settings are environment variables (DRAGOMAN_*); nothing is written outside /tmp.
# `--target gpu` has onnxruntime-gpu instead of onnxruntime; all else is equal.

# To pin it: --build-arg PYTHON_IMAGE=python:3.13-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS wheel
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/root/.cache/pip \
    PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
    pip wheel --no-deps --wheel-dir /wheels .

FROM ${PYTHON_IMAGE} AS install-cpu
COPY constraints.txt /source/constraints.txt
COPY --from=wheel /wheels /wheels
# No pip in the environment that is shipped, none of the training libraries, and no tests.
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/dragoman \
    && pip --python /opt/dragoman/bin/python install --compile \
        --constraint /source/constraints.txt "$(echo /wheels/dragoman-*.whl)[service]" \
    && find /opt/dragoman/lib -type d -name tests -prune -exec rm -r {} + \
    && ! /opt/dragoman/bin/python -c 'import torch' 2>/dev/null

# The one list of dependencies stays that of the service; only the runtime is exchanged.
FROM install-cpu AS install-gpu
ARG ONNXRUNTIME_GPU=1.31.1
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/dragoman/bin/python uninstall --yes onnxruntime \
    && grep -v '^onnxruntime==' /source/constraints.txt > /source/gpu.txt \
    && pip --python /opt/dragoman/bin/python install --compile \
        --constraint /source/gpu.txt "onnxruntime-gpu[cuda,cudnn]==${ONNXRUNTIME_GPU}"

FROM ${PYTHON_IMAGE} AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="dragoman" \
      org.opencontainers.image.description="Machine translation over HTTP" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

ENV PATH="/opt/dragoman/bin:${PATH}" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DRAGOMAN_HOST=0.0.0.0

# A number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000

# Readiness: healthy means that a translation would be answered now (503 while loading or draining).
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; \
connection = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('DRAGOMAN_PORT', '8000')), timeout=4); \
connection.request('GET', '/readyz'); \
sys.exit(connection.getresponse().status != 200)"]

# Exec form: the server is process 1, gets SIGTERM itself, and drains before it stops.
ENTRYPOINT ["dragoman"]
CMD ["serve"]

FROM runtime AS gpu
COPY --from=install-gpu /opt/dragoman /opt/dragoman

# Last, so that it is what `docker build` makes.
FROM runtime AS cpu
COPY --from=install-cpu /opt/dragoman /opt/dragoman
