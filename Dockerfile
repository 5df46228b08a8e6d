# One image for the API, the worker and the migrations; the command says which (docker-compose.yml).
ARG NODE_IMAGE=node:24-bookworm-slim
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${NODE_IMAGE} AS web
WORKDIR /build/web
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY web/ ./
RUN npm run build

FROM ${PYTHON_IMAGE} AS packages
# server, or otel: with what sends traces.
ARG LOCK=server
COPY app/requirements-server.lock app/requirements-otel.lock /build/
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --require-hashes --no-deps --only-binary=:all: \
        -r "/build/requirements-${LOCK}.lock"

FROM ${PYTHON_IMAGE}
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SALESPAD_NO_BOOTSTRAP=1 \
    SALESPAD_ENV=production \
    SALESPAD_HOST=0.0.0.0 \
    SALESPAD_HOME=/var/lib/salespad
RUN groupadd --gid 10001 salespad \
    && useradd --uid 10001 --gid salespad --no-create-home --home-dir /var/lib/salespad --shell /usr/sbin/nologin salespad \
    && install --directory --mode=700 --owner=salespad --group=salespad /var/lib/salespad
WORKDIR /opt/salespad
COPY --from=packages /opt/venv /opt/venv
COPY app/ app/
COPY workers/ workers/
COPY migrations/ migrations/
COPY --from=web /build/web/dist/ web/dist/
RUN python -m compileall -q app workers migrations
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
CMD ["python", "-m", "app", "api"]
