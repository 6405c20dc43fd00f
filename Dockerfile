# Four stages: the page, the wheel, the packages beside it, and an image that holds only what runs.
# Plain instructions only, so that the classic builder, BuildKit, Podman and Kaniko all build it. Every package comes from a
# lock file with hashes. Base images are pinned by tag; whoever releases pins them by digest (name:tag@sha256:…), which only a
# registry can tell: `docker buildx imagetools inspect NAME:TAG` once, a bot such as Renovate from then on.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm
ARG RUST_IMAGE=rust:1.95-bookworm
ARG NODE_IMAGE=node:22-bookworm-slim

FROM ${NODE_IMAGE} AS page
WORKDIR /build/ui
COPY ui/package.json ui/package-lock.json ui/.npmrc ./
RUN npm ci --no-fund --no-audit
COPY ui/ ./
RUN npm run build

FROM ${RUST_IMAGE} AS wheel
RUN python3 -c 'import ensurepip' 2>/dev/null \
    || (apt-get update -qq && apt-get install -qq -y --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/*)
WORKDIR /build
COPY requirements/build.txt requirements/
RUN python3 -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements/build.txt
# The crates l3book depends on are compiled around an empty crate first: this layer holds until a manifest or the lock file
# changes. By maturin too, because its flags are part of what cargo calls unchanged.
COPY Cargo.toml Cargo.lock pyproject.toml ./
COPY rust/Cargo.toml rust/
COPY rust/benches/ rust/benches/
RUN mkdir -p rust/src python/l3book && echo '//! Empty.' >rust/src/lib.rs \
    && touch README.md LICENSE THIRD_PARTY.txt python/l3book/__init__.py \
    && /opt/build/bin/maturin build --release --locked --out /tmp/empty
COPY README.md LICENSE THIRD_PARTY.txt ./
COPY rust/ rust/
COPY python/ python/
COPY --from=page /build/python/l3book/static/ python/l3book/static/
# The time that stands in the wheel for each of its files, in seconds since 1970: from the same sources comes the same wheel,
# to the byte. Unless told, the earliest time that a zip file can hold.
ARG SOURCE_DATE_EPOCH=315532800
# The sources may be older than the empty crate; cargo compares times, so they are made newer.
RUN find rust -name '*.rs' -exec touch {} + \
    && SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} /opt/build/bin/maturin build --release --locked --out /wheels

FROM ${PYTHON_IMAGE} AS packages
# What runs is without pip: the base image's installs into it.
RUN python3 -m venv --without-pip /opt/l3book && python3 -m venv /opt/build
COPY requirements/build.txt requirements/runtime.txt requirements/stores.txt requirements/live.txt requirements/traces.txt /tmp/requirements/
RUN /opt/build/bin/pip install --no-cache-dir --require-hashes -r /tmp/requirements/build.txt
# "stores": what history_store clickhouse:// and postgresql:// need, and `history compact`. "live": Databento's client, for
# live:// sources. "traces": OpenTelemetry. Any of them, or none: the server, the page, files, tcp://, nats:// and recording
# into SQLite need none of it.
ARG EXTRAS=""
# Wheels, but for nkeys, of which there is only source: it is built by what requirements/build.txt has, since a build in
# isolation would fetch its tools without a hash.
RUN for name in runtime ${EXTRAS}; do files="${files} -r /tmp/requirements/${name}.txt"; done \
    && /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --only-binary :all: --no-binary nkeys \
        --require-hashes --wheel-dir /tmp/wheels ${files}
COPY --from=wheel /wheels/ /tmp/wheels/
RUN python3 -m pip --python /opt/l3book/bin/python install --no-cache-dir --no-deps --no-index /tmp/wheels/*.whl

FROM ${PYTHON_IMAGE}
# Nothing is installed here again: the base image's own installers go. The folders are those that volumes are for; a new
# volume takes its owner from them. Nothing is recorded unless a volume is given for it, on /history for example: a
# container's own layer is no place for gigabytes.
RUN python3 -c "import shutil; from importlib.util import find_spec; [shutil.rmtree(path) for name in ('pip', 'ensurepip', 'setuptools', 'wheel') for found in [find_spec(name)] if found for path in found.submodule_search_locations]" \
    && rm -f /usr/local/bin/pip* /usr/bin/pip* \
    && install -d -o 10001 -g 10001 /history /state /shared
COPY --from=packages /opt/l3book/ /opt/l3book/
# The user has no home. Keys that are to outlast the container need a volume, and L3BOOK_STATE_DIR=/state.
ENV PATH=/opt/l3book/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 L3BOOK_STATE_DIR=/tmp/l3book L3BOOK_NO_HISTORY=1
# A number and not a name, so that an orchestrator can see that it is not root; no account is needed for it.
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
# Alive, not ready: a server whose feed reconnects serves the books it has, and is not to be restarted. The address is the
# container's own, to which no certificate is made out; TLS is on where the variable says so (not by an option or a file).
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, ssl, urllib.request; context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE; scheme = 'https' if os.environ.get('L3BOOK_TLS_CERT') else 'http'; urllib.request.urlopen(scheme + '://127.0.0.1:8000/livez', timeout=4, context=context)"]
ENTRYPOINT ["l3book"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
# Last, since they differ with every build and everything below an instruction is made anew with it.
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="l3book" \
      org.opencontainers.image.description="Full-depth (L3, market-by-order) order books from Databento DBN data" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
