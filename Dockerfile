# fluxmedic: two stages; what runs has no compiler, no build tool, no shell history, and no right to write but to /data.
# The locks carry a hash for every file, so the same versions come in or the build stops.
ARG PYTHON=3.11.14-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ONLY_BINARY=:all:
WORKDIR /source
COPY deploy/requirements.txt deploy/requirements-build.txt deploy/
RUN python -m venv /opt/build && /opt/build/bin/pip install --require-hashes -r deploy/requirements-build.txt \
 && python -m venv /opt/fluxmedic && /opt/fluxmedic/bin/pip install --require-hashes -r deploy/requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY rules rules
COPY daemon daemon
RUN /opt/build/bin/pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /wheels . \
 && /opt/fluxmedic/bin/pip install --no-deps --no-index /wheels/*.whl \
 && /opt/fluxmedic/bin/python -m compileall -q /opt/fluxmedic/lib

FROM python:${PYTHON}
COPY --from=build /opt/fluxmedic /opt/fluxmedic
RUN install -d -o 65532 -g 65532 -m 0750 /data
ENV PATH=/opt/fluxmedic/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FLUXMEDIC_HTTP__BIND=0.0.0.0:8080 \
    FLUXMEDIC_LEDGER__URL=sqlite+aiosqlite:////data/ledger.db
WORKDIR /data
VOLUME /data
EXPOSE 8080
USER 65532:65532
# No HEALTHCHECK: Kubernetes asks /healthz and /readyz itself.
ENTRYPOINT ["fluxmedic"]
CMD ["run"]
