# syntax=docker/dockerfile:1
# One image for HTTP, worker, dispatcher and the one-shot commands: the command chooses.
#
# The base is pinned by tag. To pin its content as well, put the digest behind it:
#   docker buildx imagetools inspect python:3.11-slim-trixie --format '{{.Manifest.Digest}}'
#   docker build --build-arg PYTHON_IMAGE=python:3.11-slim-trixie@sha256:… .
ARG PYTHON_IMAGE=python:3.11-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# The locks first: dependencies are installed again only when a lock changes.
COPY requirements/build.lock requirements/runtime.lock requirements/
# Everything by hash and from wheels alone: nothing is compiled, no setup script is run.
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-deps --require-hashes --only-binary :all: \
        -r requirements/build.lock \
    && python -m venv /opt/bharatbuild \
    && /opt/bharatbuild/bin/pip install --no-deps --require-hashes --only-binary :all: \
        -r requirements/runtime.lock
COPY pyproject.toml README.md ./
COPY src src
# The final image installs nothing, so its environment needs no pip.
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/bharatbuild/bin/pip install --no-deps --no-index dist/bharatbuild-*.whl \
    && /opt/bharatbuild/bin/pip check \
    && /opt/bharatbuild/bin/python -m pip uninstall --yes pip setuptools

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="BharatBuild AI" \
      org.opencontainers.image.description="HTTP, worker and dispatcher of BharatBuild AI"
# No bytecode and no home are written at run time: the root file system may be read-only.
ENV PATH=/opt/bharatbuild/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HTTP_HOST=0.0.0.0 \
    ENVIRONMENT=production
RUN groupadd --gid 10001 bharatbuild \
    && useradd --uid 10001 --gid bharatbuild --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin bharatbuild
COPY --from=build /opt/bharatbuild /opt/bharatbuild
COPY deploy/docker/dispatcher_health.py /opt/bharatbuild/share/
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
# For the default command. Compose gives the worker and the dispatcher checks of their own.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD \
    ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('HTTP_PORT', '8000') + '/health/live', timeout=4)"]
ENTRYPOINT ["bharatbuild"]
CMD ["http"]
