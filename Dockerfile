# syntax=docker/dockerfile:1
ARG PYTHON=3.13

# --- build: the pinned lock into a virtual environment; pip and its cache stay behind ---------------
FROM python:${PYTHON}-slim AS build
RUN python -m venv --without-pip /opt/narrows
COPY requirements/runtime.lock /tmp/runtime.lock
RUN pip --python /opt/narrows/bin/python install --no-cache-dir --disable-pip-version-check \
      --only-binary :all: --require-hashes --requirement /tmp/runtime.lock

# --- run --------------------------------------------------------------------------------------------
FROM python:${PYTHON}-slim
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
    PYTHONUNBUFFERED=1 \
    NARROWS_ENVIRONMENT=production
WORKDIR /app
USER 10001:10001
EXPOSE 9808
STOPSIGNAL SIGTERM

# The worker's own; beat and Flower have theirs in docker-compose.yml.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('NARROWS_METRICS_PORT', '9808') + '/healthz', timeout=3)"]

CMD ["celery", "--app", "worker", "worker", "--without-mingle", "--without-gossip"]
