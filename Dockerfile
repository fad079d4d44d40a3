# syntax=docker/dockerfile:1
# Built in one image, run in another that holds no build tools. Migrations are a step of their own:
#   docker run --rm -e DATABASE_URL=... -e SECRET_KEY=... tandem tandem db upgrade
FROM python:3.13-slim-bookworm AS build
WORKDIR /srv/tandem
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY requirements.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY pyproject.toml README.md ./
COPY app ./app
# The user that serves may write nothing here, so Python would compile all of it anew at each start.
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable . && python -m compileall -q --invalidation-mode unchecked-hash app

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /srv/tandem tandem \
    && mkdir -p /srv/tandem/data \
    && chown tandem /srv/tandem/data
WORKDIR /srv/tandem
COPY --from=build /opt/venv /opt/venv
COPY --from=build /srv/tandem ./
COPY alembic.ini ./
COPY alembic ./alembic
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ENVIRONMENT=production \
    HOST=0.0.0.0 \
    PORT=8000
USER 10001
EXPOSE 8000
VOLUME /srv/tandem/data
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/readyz', timeout=2)"]
CMD ["tandem", "serve"]
