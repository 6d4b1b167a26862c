# syntax=docker/dockerfile:1
# The page, or with another command the server of predictions, in a container: docs/deploy.md, docs/serve.md. For the same image on every day, give the two base images by digest.
ARG PYTHON=python:3.11-slim-bookworm
ARG NODE=node:22-bookworm-slim

FROM ${NODE} AS scripts
WORKDIR /scripts
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --omit=dev --no-audit --no-fund

FROM ${PYTHON} AS packages
# deploy/requirements.lock brings torch with CUDA. `make lock-cpu` writes a lock without, whose wheels are in the index
# that PIP_EXTRA_INDEX_URL names.
ARG LOCK=deploy/requirements.lock
ARG PIP_EXTRA_INDEX_URL=
COPY ${LOCK} /tmp/requirements.lock
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: \
       -r /tmp/requirements.lock \
    && /opt/venv/bin/pip uninstall --yes --quiet pip

FROM ${PYTHON}
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent triovision
WORKDIR /opt/triovision
COPY --from=packages /opt/venv /opt/venv
COPY --from=scripts /scripts/node_modules node_modules
COPY .streamlit .streamlit
COPY LICENSE app.py studio.py ./
COPY models models
COPY assets assets
COPY static static
COPY styles styles
COPY pages pages
COPY triovision triovision
# Nothing is written outside /tmp. Only a named visitor is an owner: docs/deploy.md.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    XDG_CACHE_HOME=/tmp/cache \
    TRIOVISION_ADMIN=0
RUN python -m compileall -q -j 0 /opt/triovision/triovision
USER 10001:10001
EXPOSE 8501 8600
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from http.client import HTTPConnection; c = HTTPConnection('127.0.0.1', 8501, timeout=4); c.request('GET', '/_stcore/health'); raise SystemExit(c.getresponse().status != 200)"]
# The container is the wall: what is published outside it decides who reaches the page.
# The server: python -m triovision serve --host 0.0.0.0 --port 8600
CMD ["python", "-m", "triovision", "app", "--host", "0.0.0.0", "--port", "8501", "--no-browser"]
