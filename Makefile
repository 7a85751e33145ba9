# The one vocabulary: README, CI and people call these targets. Bare `make` shows those of every day, `make help-all` all.
PYTHON ?= python3
MODEL ?= flights
IMAGE ?= $(MODEL)
CONFIG = configs/$(MODEL).yaml
COMPOSE := DOCKER_BUILDKIT=1 MODEL=$(MODEL) docker compose
export MODEL_DIR ?= models/$(MODEL)
BIN := .venv/bin
CODE := src serve tests examples notebooks docs deploy requirements .ci
COMPILE := $(BIN)/uv pip compile $(if $(UPGRADE),--upgrade) --quiet --universal --generate-hashes --no-header --python-version 3.11

ifeq ($(origin CONFIG),command line)
$(error CONFIG is MODEL now: MODEL=churn is configs/churn.yaml, models/churn and the image churn)
endif

# The scripts of an environment name the folder that it was made in: install.py makes anew what was moved, or lost its Python.
STALE := $(shell for at in .venv*/.at; do [ ! -f "$$at" ] || { [ "$$(cat "$$at")" = "$$(pwd -P)" ] && [ -x "$${at%.at}bin/python" ]; } || echo .stale; done)

# Of this make alone: a suite that calls make again asks for something else.
unexport SUITE ONLY COVERAGE

# What a suite of tests/system needs, and the Python that runs it; `make test` alone runs all that needs none of that.
SUITES := broken clients dask deploy docs hostile image models mutation notebook renamed runner setup signing slow stack
NEEDS_broken := .venv/.dev .venv-checks/.checks
NEEDS_clients := .venv/.train .venv-clients/.clients
NEEDS_dask := .venv/.dask
NEEDS_deploy := .venv-deploy/.deploy
NEEDS_image := .venv/.dev image
NEEDS_models := .venv/.lightgbm
NEEDS_mutation := .venv/.mutation
NEEDS_notebook := .venv-notebook/.notebook
NEEDS_signing := .venv/.dev .venv-release/.release
NEEDS_ := .venv/.dev
ENVIRONMENT_clients := .venv-clients
ENVIRONMENT_deploy := .venv-deploy
ENVIRONMENT_notebook := .venv-notebook
KNOWN := $(SUITES)
# <flights>
CODE += bench
BENCHES := leaks own scale
BENCH_ := measure
BENCH_leaks := leaks
BENCH_own := own_data
BENCH_scale := scale
ifneq ($(filter bench,$(MAKECMDGOALS)),)
KNOWN := $(BENCHES)
endif
# </flights>
ifneq ($(filter-out $(KNOWN),$(SUITE)),)
$(error SUITE=$(SUITE): there is no such suite. There are: $(KNOWN))
endif

HELP := echo "make TARGET [MODEL=name]: name is configs/name.yaml, models/name and the image; flights where none is said"; awk
.DEFAULT_GOAL := help
.PHONY: help help-all train new bundle mlflow serve image up down score monitor skew retrain promote rollback history replay notebook test lint refresh challenge docs try summary sign verify sbom audit logs ci lint-files format packages rename readme screenshots lock clean .stale

help:
	@$(HELP) -F ':.*## ' '/^### / { print "\n" substr($$0, 5) } /^[a-z-]+:.*## / { printf "  %-10s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '  %-10s%s\n' help-all "the other targets too"

help-all:
	@$(HELP) -F ':.*#[#+] ' '/^####? / { print "\n" substr($$0, index($$0, " ") + 1) } /^[a-z-]+:.*#[#+] / { printf "  %-13s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

### Train

train: .venv/.train ## clean the data, train, evaluate the gates, promote [RESTART="why the champion cannot be compared"]
	$(BIN)/python -m pipeline train $(CONFIG)

new: .venv/.train ## look at a table, and write configs/NAME.yaml for it [NAME=churn CSV=file TARGET=column]
	@NAME="$(NAME)" CSV="$(CSV)" TARGET="$(TARGET)" POSITIVE="$(POSITIVE)" $(BIN)/python -m pipeline new

bundle: .venv/.train #+ take a model of your own, as ONNX, through the gates; package it as the champion [ONNX=model.onnx RESTART="why the champion cannot be compared"]
	@ONNX="$(ONNX)" $(BIN)/python -m pipeline bundle $(CONFIG)

mlflow: .venv/.train ## open the recorded runs in MLflow
	$(BIN)/python -m pipeline mlflow $(CONFIG)

### Serve

serve: .venv/.serve ## serve the champion over HTTP: page, API, metrics [PORT=8080]
	@LOG_URL=$${LOG_URL-sqlite:///log/$(MODEL).db} exec $(BIN)/serve

image: ## the server and its champion as a container image [PUBLIC_KEY=public.pem]
	DOCKER_BUILDKIT=1 docker build --tag $(IMAGE) --build-arg MODEL=$(MODEL) \
	  $(if $(PUBLIC_KEY),--build-arg SET=signed --build-arg PUBLIC_KEY="$$(cat $(PUBLIC_KEY))") \
	  --build-arg COMMIT=$$(git describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null || echo unknown) \
	  --build-arg VERSION=$$(cat models/$(MODEL)/champion 2>/dev/null || echo none) .

up: ## server, MLflow with PostgreSQL and Prometheus, in containers
	@$(PYTHON) deploy/secrets_for_compose.py
	@$(COMPOSE) up --build --detach --wait
	@echo; echo "the server   http://127.0.0.1:$${API_PORT:-8080}"
	@echo "MLflow       http://127.0.0.1:$${MLFLOW_PORT:-5000}   (record there: MLFLOW_TRACKING_URI=http://127.0.0.1:$${MLFLOW_PORT:-5000} make train)"
	@echo "Prometheus   http://127.0.0.1:$${PROMETHEUS_PORT:-9090}"

down: ## stop them; their data stays
	@$(COMPOSE) down

score: .venv/.train ## predict the rows of a file, a folder or a glob: CSV, Parquet, JSON Lines [IN=… OUT=… BUNDLE=digest EXPLAIN=1]
	@IN="$(IN)" OUT="$(OUT)" BUNDLE="$(BUNDLE)" EXPLAIN="$(or $(EXPLAIN),0)" $(BIN)/python -m pipeline score $(CONFIG)

### Keep it good

monitor: .venv/.train ## compare predictions with their labels; ends with 5: retrain, 6: broken data [AS_OF=2014-01-06]
	@$(BIN)/python -m pipeline monitor $(CONFIG)

skew: .venv/.train ## compare logged inputs with the data that came later; ends with 6: a column differs [AS_OF=2014-01-06]
	@$(BIN)/python -m pipeline skew $(CONFIG)

retrain: .venv/.train ## train on newer data; the newest days compare it with the champion [AS_OF=2013-12-01]
	$(BIN)/python -m pipeline retrain $(CONFIG)

promote: .venv/.train ## make another bundle the champion [VERSION=digest WHY="…"]
	@$(BIN)/python -m pipeline promote $(CONFIG)

rollback: .venv/.train ## go back to the champion before this one [WHY="…"]
	@$(BIN)/python -m pipeline rollback $(CONFIG)

history: .venv/.train ## who changed the champion, when and why
	@$(BIN)/python -m pipeline history $(CONFIG)

replay: .venv/.train ## play months of data through running servers in minutes [UNTIL=december]
	@$(BIN)/python -m pipeline replay $(CONFIG)

### Work on it

notebook: .venv-notebook/.notebook ## a first look at the data, run from top to bottom: reports/NAME.notebook/explore.html
	@MODEL=$(MODEL) .venv-notebook/bin/python notebooks/run.py

test: $(or $(NEEDS_$(SUITE)),.venv/.dev) ## all tests [ONLY=tests/serve, COVERAGE=1, or SUITE=image: one of tests/system]
ifeq ($(SUITE),)
	$(BIN)/pytest $(if $(COVERAGE),--cov --cov-report=term-missing:skip-covered $(if $(GITHUB_STEP_SUMMARY),--cov-report=markdown-append:$(GITHUB_STEP_SUMMARY))) $(ONLY)
else
	IMAGE=$(IMAGE) MODEL=$(MODEL) $(or $(ENVIRONMENT_$(SUITE)),.venv)/bin/python -m pytest -c tests/system/$(SUITE)/pytest.ini tests/system/$(SUITE) $(if $(ONLY),-k $(ONLY))
endif

lint: .venv/.lint ## code style and types
	$(BIN)/ruff check --quiet --output-format concise $(CODE)
	$(BIN)/ruff format --quiet --check $(CODE)
	$(BIN)/mypy
	$(BIN)/python .ci/readability.py

docs: .venv-docs/.docs ## README and docs/ as a site, in build/site [SERVE=1: on port 8000, as they change]
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs $(if $(SERVE),serve,build --strict) --config-file docs/site/mkdocs.yml
	@echo "Open build/site/index.html, or, with search, http://127.0.0.1:8000 after make docs SERVE=1"

#### More of the model

refresh: .venv/.train #+ update the rolling features from the log and its labels [AS_OF=2014-01-02]
	$(BIN)/python -m pipeline refresh $(CONFIG)

challenge: .venv/.train #+ train a month further on and compare with the champion [AS_OF=2013-07-01]
	@$(BIN)/python .ci/challenge.py $(MODEL)

try: .venv/.serve #+ serve the champion, send it one request, stop it
	@.ci/try

summary: #+ the last training as Markdown
	@$(PYTHON) .ci/summary.py $(MODEL)

sign: .venv-release/.release #+ sign the champion in OpenSSF's format [KEY=private.pem]
	@test -n "$(KEY)" || { echo "error: KEY=private.pem is missing; docs/ci.md says how to make one" >&2; exit 2; }
	@champion=models/$(MODEL)/$$(cat models/$(MODEL)/champion) && \
	  .venv-release/bin/model_signing sign key $$champion --private_key $(KEY) --signature $$champion.sig

verify: .venv/.signed #+ verify the champion's signature [KEY=public.pem]
	@test -n "$(KEY)" || { echo "error: KEY=public.pem is missing" >&2; exit 2; }
	@$(BIN)/python -m pipeline.runtime.signature models/$(MODEL) $(KEY)

sbom: .venv-release/.release #+ bills of materials of the image's packages and of the model, in reports/sbom
	@.venv-release/bin/python .ci/sbom.py $(MODEL)

audit: .venv-release/.release #+ known vulnerabilities of what is served (asks a database on the network)
	@.ci/audit

logs: #+ logs of the containers
	@$(COMPOSE) logs --follow --tail 50

#### More of the repository

ci: #+ the steps of ci.yml that need no GitHub, in their order
	@.ci/all

lint-files: .venv-checks/.checks #+ workflows, compose file, Dockerfile, shell scripts, YAML
	.venv-checks/bin/zizmor --quiet --offline --persona pedantic .github
	.venv-checks/bin/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	.venv-checks/bin/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	.venv-checks/bin/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml
	.venv-checks/bin/check-jsonschema --quiet --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	.venv-checks/bin/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	.venv-checks/bin/hadolint Dockerfile
	.venv-checks/bin/shellcheck $$(grep -lr '^#!/usr/bin/env bash' .ci)
	.venv-checks/bin/yamllint --strict --config-file .yamllint.yaml .yamllint.yaml .pre-commit-config.yaml .github compose.yaml configs deploy docs

format: .venv/.lint #+ rewrite the code in the house's style
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)
	$(BIN)/python notebooks/strip.py

rename: #+ make the clone your own project: names, README's head, licence, default model [NAME=churn TITLE="…" OWNER="…" WITHOUT=flights]
	@$(PYTHON) .ci/rename.py

packages: #+ Debian packages that tests/system drives: a browser, PostgreSQL, Prometheus, kubectl
	@.ci/packages

# <flights>
.PHONY: bench bench-serve
bench: .venv/.dev $(if $(filter scale,$(SUITE)),.venv/.dask) #+ measure everything that docs/benchmarks.md states, and write it there [SUITE=leaks: docs/leaks.md, SUITE=own: docs/own-data.md, SUITE=scale: docs/scale.md]
	$(BIN)/python bench/$(BENCH_$(SUITE)).py

bench-serve: .venv/.dev .venv-peers/.peers #+ this server and its peers, in turns, with wrk (apt install wrk)
	$(BIN)/python bench/serving.py

.venv-peers/.peers: requirements/peers.txt requirements/install.py $(STALE)
	@$(PYTHON) requirements/install.py peers
# </flights>

readme: .venv/.dev .venv/.serve #+ train, serve and put what that prints, and the replay's picture, into README and docs
	$(BIN)/python docs/refresh.py

screenshots: .venv/.serve .venv-clients/.clients #+ pictures of the page from the real server, for README
	.venv-clients/bin/python docs/screenshots.py

lock: .venv/.lint #+ resolve the dependencies of pyproject.toml again, into requirements/*.txt [UPGRADE=1: the newest versions]
	$(COMPILE) pyproject.toml --group dev -o requirements/dev.txt
	for set in train lint mutation dask lightgbm notebook; do $(COMPILE) pyproject.toml --group $$set -c requirements/dev.txt -o requirements/$$set.txt || exit; done
	$(COMPILE) pyproject.toml -c requirements/dev.txt -o requirements/serve.txt
	$(COMPILE) pyproject.toml --extra signed -c requirements/dev.txt -o requirements/signed.txt
	$(COMPILE) --group pyproject.toml:clients -o requirements/clients.txt
	for set in checks deploy docs release peers; do $(COMPILE) --group pyproject.toml:$$set -o requirements/$$set.txt || exit; done
	$(COMPILE) --group pyproject.toml:mlflow -c requirements/dev.txt -o requirements/mlflow.txt
	# <flights>
	$(COMPILE) --no-deps --group pyproject.toml:tables -o requirements/tables.txt
	# </flights>
	$(COMPILE) --group pyproject.toml:uv -c requirements/dev.txt -o requirements/uv.txt
	$(COMPILE) --group pyproject.toml:build -c requirements/dev.txt -o requirements/build.txt

clean: #+ remove the environments, caches and reports; models and the record of runs stay
	rm -rf .venv* build reports src/*.egg-info .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find $(CODE) -name __pycache__ -prune -exec rm -rf {} +

.venv-clients/.clients: requirements/clients.txt requirements/install.py $(STALE)
	@$(PYTHON) requirements/install.py clients

.venv-deploy/.deploy: requirements/deploy.txt requirements/install.py $(STALE)
	@$(PYTHON) requirements/install.py deploy

.venv-docs/.docs: requirements/docs.txt requirements/install.py $(STALE)
	@$(PYTHON) requirements/install.py docs

.venv-notebook/.notebook: requirements/notebook.txt requirements/build.txt requirements/install.py pyproject.toml $(STALE)
	@$(PYTHON) requirements/install.py notebook

.venv-checks/.checks: requirements/checks.txt requirements/install.py $(STALE)
	@$(PYTHON) requirements/install.py checks

.venv-release/.release: requirements/release.txt requirements/install.py $(STALE)
	@$(PYTHON) requirements/install.py release

.venv/.%: requirements/%.txt requirements/build.txt requirements/install.py pyproject.toml $(STALE)
	@$(PYTHON) requirements/install.py $*
