# The server with the champion in it (the last stage; `make image`), and the MLflow server of compose.yaml.
# Plain instructions only, so that old builders read it too.

# --- Debian with Python, by digest: dependabot renews it ---
FROM python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b AS base

# --- the MLflow server: runs, registry, artifacts through its own API ---
FROM base AS mlflow
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 MLFLOW_DISABLE_TELEMETRY=true
COPY requirements/mlflow.txt /tmp/mlflow.txt
RUN python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --quiet --only-binary :all: --no-deps --require-hashes -r /tmp/mlflow.txt \
 && pip --python /opt/venv/bin/python check \
 && mkdir /artifacts && chown 10001 /artifacts
USER 10001
WORKDIR /artifacts
EXPOSE 5000
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=12 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/health', timeout=2)"]
CMD ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000", "--workers", "1", "--artifacts-destination", "/artifacts"]

# --- everything that the server needs, at its place below /out ---
FROM base AS build
ENV PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
# What is installed changes more seldom than what is ours: a layer of its own, which later builds find again.
ARG SET=serve
COPY requirements/${SET}.txt requirements/build.txt requirements/
RUN python -m venv --without-pip /app/.venv \
 && pip --python /app/.venv/bin/python install --quiet --no-compile --only-binary :all: --no-deps \
    --require-hashes -r "requirements/$SET.txt" \
 && pip --python /app/.venv/bin/python check \
 && rm /app/.venv/bin/[Aa]ctivate* \
 && pip install --quiet --no-deps --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY serve serve
# DL3013 asks for a version; this is the wheel that was just made.
# hadolint ignore=DL3013
RUN pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheel . \
 && pip --python /app/.venv/bin/python install --quiet --no-compile --no-deps --no-index --find-links /wheel mlops-reference
# The brackets make it optional for COPY, so that the next line can say what is missing.
ARG MODEL=flights
ARG PUBLIC_KEY=""
COPY LICENSE model[s] models/
RUN if [ ! -f "models/$MODEL/champion" ]; then echo "there is no champion of $MODEL: run make train first" >&2; exit 1; fi \
 && if [ -n "$PUBLIC_KEY" ]; then echo "$PUBLIC_KEY" >/tmp/key.pem \
    && /app/.venv/bin/python -m pipeline.runtime.signature "models/$MODEL" /tmp/key.pem; fi \
 && cp -r "models/$MODEL/$(cat "models/$MODEL/champion")" /app/model \
 && if [ -f "models/$MODEL/$(cat "models/$MODEL/champion").sig" ]; then \
      cp "models/$MODEL/$(cat "models/$MODEL/champion").sig" /app/model.sig; fi \
 && /app/.venv/bin/python -c "from pathlib import Path; from pipeline.runtime import predictor; predictor.load(Path('/app/model'))"
# Tests, type stubs, and the headers and sources for compilers are more than a tenth of the packages, and nothing here
# reads them. Bytecode is bound to its source by
# hash and not by time, all files get one time, and there is one COPY below: two builds of the same files give the same
# layer.
ARG SOURCE_DATE_EPOCH=1577836800
RUN mkdir /out && mv /app /out/app \
 && find /out/app/.venv/lib -depth -type d '(' -name tests -o -path '*/sqlalchemy/testing' ')' -exec rm -r {} + \
 && find /out/app/.venv/lib -regex '.*[.]\(pyi\|pyx\|pxd\|h\|a\)' -type f -delete \
 && python -m compileall -q --invalidation-mode unchecked-hash -s /out -p / /out/app/.venv/lib \
 && chmod -R a+rX,go-w /out/app \
 && find /out -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

FROM base
ENV PATH=/app/.venv/bin:$PATH HOST=0.0.0.0 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /out/ /
WORKDIR /app
USER 10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s CMD ["python", "-m", "serve.healthcheck"]
ARG COMMIT=unknown
ARG MODEL=flights
ARG VERSION=unknown
LABEL org.opencontainers.image.title="${MODEL}" \
      org.opencontainers.image.description="A model behind every platform's serving protocol" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.version="${VERSION}" \
      model.name="${MODEL}" \
      model.digest="${VERSION}" \
      com.amazonaws.sagemaker.capabilities.accept-bind-to-port="true"
# No ENTRYPOINT: `docker run IMAGE` and SageMaker's `docker run IMAGE serve` are the same.
CMD ["serve"]
