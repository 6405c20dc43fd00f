# Four stages: the page, the wheel, the packages beside it, and an image that holds only what runs.
# Plain instructions only, so that the classic builder, BuildKit, Podman and Kaniko all build it. Every package comes from a lock file with hashes.
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
# The sources may be older than the empty crate; cargo compares times, so they are made newer.
RUN find rust -name '*.rs' -exec touch {} + \
    && /opt/build/bin/maturin build --release --locked --out /wheels

FROM ${PYTHON_IMAGE} AS packages
RUN python3 -m venv /opt/l3book
COPY requirements/runtime.txt /tmp/
RUN /opt/l3book/bin/pip install --no-cache-dir --only-binary :all: --require-hashes -r /tmp/runtime.txt
COPY --from=wheel /wheels/ /tmp/wheels/
RUN /opt/l3book/bin/pip install --no-cache-dir --no-deps --no-index /tmp/wheels/l3book-*.whl

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="l3book" \
      org.opencontainers.image.description="Full-depth (L3, market-by-order) order books from Databento DBN data" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=packages /opt/l3book/ /opt/l3book/
# The user has no home. Keys that are to outlast the container need a volume here. Nothing is recorded unless a volume is
# given for it, on /history for example: a container's own layer is no place for gigabytes.
RUN install -d -o 10001 -g 10001 /history
ENV PATH=/opt/l3book/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 L3BOOK_STATE_DIR=/tmp/l3book L3BOOK_NO_HISTORY=1
# A number and not a name, so that an orchestrator can see that it is not root; no account is needed for it.
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
# Alive, not ready: a server whose feed reconnects serves the books it has, and is not to be restarted. The address is the
# container's own, to which no certificate is made out; TLS is on where the variable says so (not by an option or a file).
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, ssl, urllib.request; context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE; scheme = 'https' if os.environ.get('L3BOOK_TLS_CERT') else 'http'; urllib.request.urlopen(scheme + '://127.0.0.1:8000/livez', timeout=4, context=context)"]
ENTRYPOINT ["l3book"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
