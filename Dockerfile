# syntax=docker/dockerfile:1
ARG PYTHON=3.13.11-slim-trixie

# --- build: the pinned lock into a virtual environment; pip and its cache stay behind ---------------
FROM python:${PYTHON} AS build
RUN python -m venv --without-pip /opt/narrows
COPY requirements/runtime.lock /tmp/runtime.lock
RUN pip --python /opt/narrows/bin/python install --no-cache-dir --disable-pip-version-check \
      --only-binary :all: --require-hashes --requirement /tmp/runtime.lock

# --- ground: what runs, and as whom --------------------------------------------------------------
FROM python:${PYTHON} AS ground
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin narrows
COPY --from=build /opt/narrows /opt/narrows
COPY config /app/config
COPY worker /app/worker
COPY tasks /app/tasks
COPY --chmod=0755 <<'SCRIPT' /opt/narrows/bin/narrows
#!/opt/narrows/bin/python
from worker.cli import main

raise SystemExit(main())
SCRIPT

ENV PATH=/opt/narrows/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /app
USER 10001:10001
STOPSIGNAL SIGTERM

# --- sandbox: plays every provider (docker-compose.integration.yml); nothing of it is in the image below ----
FROM ground AS sandbox
COPY tests/__init__.py /app/tests/__init__.py
COPY tests/sandbox /app/tests/sandbox
EXPOSE 8080
CMD ["python", "-m", "tests.sandbox", "--host", "sandbox", "--port", "8080"]

# --- narrows: what `docker build .` makes -----------------------------------------------------------
FROM ground AS narrows
ENV NARROWS_ENVIRONMENT=production
EXPOSE 9808 9809

# The worker's own; the others have theirs in docker-compose.yml.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('NARROWS_METRICS_PORT', '9808') + '/healthz', timeout=3)"]

CMD ["celery", "--app", "worker", "worker", "--without-mingle", "--without-gossip"]
