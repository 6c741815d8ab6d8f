# syntax=docker/dockerfile:1
# The bridge as a container: read-only, without root, without a package manager.
#
# For a release pin the base by its digest, as docs/deploy/image.md says.
ARG BASE=docker.io/library/python:3.13-slim

FROM ${BASE} AS build
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ONLY_BINARY=:all: PIP_ROOT_USER_ACTION=ignore
COPY requirements/runtime.lock requirements/build.lock ./requirements/
# Two environments: one that builds the wheel and stays behind, one that is the product. Every download is checked
# against the hashes of the locks; nothing is compiled. What of them cannot be used here goes: tests, sources of
# extensions, a client of schema registries without its own dependencies, lexers of other languages.
RUN python -m venv /build/tools \
 && /build/tools/bin/python -m pip install --require-hashes -r requirements/build.lock \
 && python -m venv --without-pip /opt/bridge \
 && /build/tools/bin/python -m pip --python /opt/bridge/bin/python install --require-hashes -r requirements/runtime.lock
COPY pyproject.toml README.md LICENSE ./
COPY bridge ./bridge
COPY config/rules ./config/rules
COPY scripts/deploy/sbom.py ./scripts/deploy/sbom.py
RUN /build/tools/bin/python -m hatchling build -t wheel -d /build/wheel \
 && /build/tools/bin/python -m pip --python /opt/bridge/bin/python install --no-deps --no-index /build/wheel/*.whl \
 && /opt/bridge/bin/python scripts/deploy/sbom.py > /opt/bridge/sbom.cdx.json \
 && find /opt/bridge -name __pycache__ -prune -exec rm -rf {} + \
 && find /opt/bridge -type d -name tests -prune -exec rm -rf {} + \
 && find /opt/bridge/lib -path '*/pygments/lexers/*' -type f ! -name __init__.py ! -name _mapping.py ! -name python.py ! -name special.py -delete \
 && rm -rf /opt/bridge/lib/python3.*/site-packages/confluent_kafka/schema_registry \
 && find /opt/bridge/lib -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' \) -delete \
 && /opt/bridge/bin/python -m compileall -q --invalidation-mode unchecked-hash -x 'pygments/(lexers|styles)/' /opt/bridge/lib

FROM ${BASE}
ARG BASE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="suprsend-kafka-bridge" \
      org.opencontainers.image.description="Kafka records become SuprSend events, by YAML rules" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${BASE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# What could install or build something goes; the list of packages stays for scanners (/var/lib/dpkg/status).
RUN rm -rf /usr/local/lib/python3.*/site-packages/* /usr/local/lib/python3.*/ensurepip /usr/local/bin/pip* \
      /usr/local/bin/idle* /usr/local/bin/pydoc* /usr/bin/apt* /usr/bin/dpkg* /usr/sbin/dpkg* /usr/lib/apt \
      /usr/lib/dpkg /etc/apt /var/lib/apt /var/cache/apt /var/lib/dpkg/info /root/.cache \
 && echo 'bridge:x:10001:10001:bridge:/nonexistent:/usr/sbin/nologin' >> /etc/passwd \
 && echo 'bridge:x:10001:' >> /etc/group
COPY --from=build /opt/bridge /opt/bridge
ENV PATH=/opt/bridge/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    BRIDGE_ADMIN__HOST=0.0.0.0 \
    BRIDGE_ADMIN__PORT=8080
# The base has no bytecode of the standard library, and nothing is written later: compile what a start imports, or each
# start compiles it anew (a third of a second).
RUN PYTHONDONTWRITEBYTECODE='' python -c "import bridge.cli.run, bridge.cli.check, bridge.cli.status, bridge.service.main_thread, bridge.service.app, bridge.service.controls, watchfiles, urllib.request, encodings.idna"
USER 10001:10001
WORKDIR /etc/bridge
EXPOSE 8080
STOPSIGNAL SIGTERM
# Alive means that the Kafka thread polls; an outage of Kafka or of SuprSend is no reason to restart.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 \
  CMD ["python", "-I", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['BRIDGE_ADMIN__PORT'] + '/livez', timeout=4)"]
ENTRYPOINT ["suprsend-bridge"]
CMD ["run", "--config", "/etc/bridge/bridge.yaml"]
