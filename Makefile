# The one vocabulary: README, CI and people call these targets. Bare `make` lists them.
PYTHON ?= python3
CONFIG ?= configs/flights.yaml
MODEL ?= flights
IMAGE ?= $(MODEL)
COMPOSE := DOCKER_BUILDKIT=1 MODEL=$(MODEL) docker compose
export MODEL_DIR ?= models/$(MODEL)
BIN := .venv/bin
CODE := src serve tests bench docs deploy requirements .ci
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11

# The scripts of an environment name the folder that it was made in: install.py makes anew what was moved, or lost its Python.
STALE := $(shell for at in .venv*/.at; do [ ! -f "$$at" ] || { [ "$$(cat "$$at")" = "$$(pwd -P)" ] && [ -x "$${at%.at}bin/python" ]; } || echo .stale; done)

.DEFAULT_GOAL := help
.PHONY: help train retrain refresh monitor replay serve image image-test test-deploy up down logs stack-test test-broken test-setup ci lint-files packages try summary sbom sign verify test-signing audit sign-keyless retag release challenge released-champion propose chosen-champion mains-champion comment push required promote rollback history test test-slow test-clients lint format bench bench-serve readme screenshots mlflow lock clean .stale

help: ## this list
	@echo "make TARGET, where TARGET is one of"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-19s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

train: .venv/.train ## from the raw public files to a packaged champion [CONFIG=configs/flights.yaml]
	$(BIN)/python -m pipeline train $(CONFIG)

retrain: .venv/.train ## train again on newer data, judged by days that the champion does not know [AS_OF=2013-12-01]
	$(BIN)/python -m pipeline retrain $(CONFIG)

refresh: .venv/.train ## bring what the champion remembers up to date, from the log and its labels [AS_OF=2014-01-02]
	$(BIN)/python -m pipeline refresh $(CONFIG)

monitor: .venv/.train ## does the champion still hold, by the log and its labels? Ends with 5: train again, 6: broken data [AS_OF=2014-01-06]
	@$(BIN)/python -m pipeline monitor $(CONFIG)

replay: .venv/.train ## a year in minutes: months of data through running servers, day by day, the loop closed [UNTIL=december]
	@$(BIN)/python -m pipeline replay $(CONFIG)

serve: .venv/.serve ## answer predictions from the champion over HTTP [MODEL=flights PORT=8080]
	@LOG_URL=$${LOG_URL-sqlite:///log/$(MODEL).db} exec $(BIN)/serve

test: .venv/.dev ## all tests [ONLY=tests/serve: some; COVERAGE=1: with coverage, slower]
	$(BIN)/pytest $(if $(COVERAGE),--cov --cov-report=term-missing:skip-covered) $(ONLY)

test-slow: .venv/.dev ## champions that change under load for a minute; PostgreSQL and Prometheus themselves (apt install postgresql prometheus)
	$(BIN)/pytest -c tests/system/slow/pytest.ini tests/system/slow

test-clients: .venv/.train .venv-clients/.clients ## a browser, the platforms' own clients and shap against real servers (apt install chromium)
	.venv-clients/bin/python -m pytest -c tests/system/clients/pytest.ini tests/system/clients

ci: ## all that .github/workflows/ci.yml does and that can be done here, in its order
	@.ci/all

lint: .venv/.lint ## code style and types
	$(BIN)/ruff check --quiet --output-format concise $(CODE)
	$(BIN)/ruff format --quiet --check $(CODE)
	$(BIN)/mypy

lint-files: .venv-checks/.checks ## workflows, compose file, Dockerfile, shell scripts, YAML
	.venv-checks/bin/zizmor --quiet --offline --persona pedantic .github
	.venv-checks/bin/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	.venv-checks/bin/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	.venv-checks/bin/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml
	.venv-checks/bin/hadolint Dockerfile
	.venv-checks/bin/shellcheck $$(grep -lr '^#!/usr/bin/env bash' .ci)
	.venv-checks/bin/yamllint --strict --config-file .yamllint.yaml .yamllint.yaml .github compose.yaml configs deploy

packages: ## Debian packages that the slow tests drive: a browser, Prometheus, kubectl
	@.ci/packages

try: .venv/.serve ## serve the champion, ask it what `make serve` prints, end it
	@.ci/try

summary: ## what the last training found, as Markdown [MODEL=flights]
	@$(PYTHON) .ci/summary.py $(MODEL)

sbom: .venv-release/.release ## bills of materials of the image's packages and of the model, in reports/sbom
	@.venv-release/bin/python .ci/sbom.py $(MODEL)

test-broken: .venv/.dev .venv-checks/.checks ## ten broken changes to a copy of this tree, each stopped by its target
	$(BIN)/pytest -c tests/system/broken/pytest.ini tests/system/broken

test-setup: .venv/.dev ## set up as elsewhere: the oldest pip, a strange path, a kill, a move, Python 3.13 as a plain user
	$(BIN)/pytest -c tests/system/setup/pytest.ini tests/system/setup

sign: .venv-release/.release ## sign the champion in OpenSSF's format [KEY=private.pem]
	@test -n "$(KEY)" || { echo "error: KEY=private.pem is missing; docs/ci.md says how to make one" >&2; exit 2; }
	@champion=models/$(MODEL)/$$(cat models/$(MODEL)/champion) && \
	  .venv-release/bin/model_signing sign key $$champion --private_key $(KEY) --signature $$champion.sig

verify: .venv/.signed ## is the champion what was signed? [KEY=public.pem]
	@test -n "$(KEY)" || { echo "error: KEY=public.pem is missing" >&2; exit 2; }
	@$(BIN)/python -m pipeline.runtime.signature models/$(MODEL) $(KEY)

test-signing: .venv/.dev .venv-release/.release ## signatures of OpenSSF's own tool, verified by ours, and broken in every way
	$(BIN)/pytest -c tests/system/signing/pytest.ini tests/system/signing

audit: .venv-release/.release ## known vulnerabilities of what is served (asks a database on the network)
	@.ci/audit

sign-keyless: .venv-release/.release ## on GitHub: sign the champion with the workflow's own identity
	@champion=models/$(MODEL)/$$(cat models/$(MODEL)/champion) && \
	  .venv-release/bin/model_signing sign sigstore $$champion --use_ambient_credentials --signature $$champion.sig

release: ## on GitHub: the release of a tag, with everything that it takes to check it
	@MODEL=$(MODEL) .ci/release

retag: ## on GitHub: the image that CI tested, under the name of a tag
	@.ci/retag

challenge: .venv/.train ## is there a better model than the champion, a month on? [AS_OF=2013-07-01]
	@$(BIN)/python .ci/challenge.py $(MODEL) $(CONFIG)

released-champion: ## on GitHub: the models of the latest release, to be challenged
	@MODEL=$(MODEL) .ci/released-champion

propose: ## on GitHub: what the challenge found, as a pull request or an issue
	@.ci/propose

chosen-champion: ## on GitHub: the model that a merged pull request has chosen to go out
	@MODEL=$(MODEL) .ci/chosen-champion

mains-champion: ## on GitHub: the models of main's last run, to be beaten
	@.ci/mains-champion

comment: ## on GitHub: the summary as the one comment of a pull request
	@gh pr comment "$$PULL_REQUEST" --repo "$$GITHUB_REPOSITORY" --edit-last --create-if-none --body-file reports/summary.md

push: ## on GitHub: the tested image to the repository's own registry
	@IMAGE=$(IMAGE) .ci/push

required: ## on GitHub: fail unless every job succeeded
	@$(PYTHON) .ci/required.py

format: .venv/.lint ## rewrite the code in the house's style
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

image: ## the server and its champion as a container image [MODEL=flights IMAGE=flights PUBLIC_KEY=public.pem]
	DOCKER_BUILDKIT=1 docker build --tag $(IMAGE) --build-arg MODEL=$(MODEL) \
	  $(if $(PUBLIC_KEY),--build-arg SET=signed --build-arg PUBLIC_KEY="$$(cat $(PUBLIC_KEY))") \
	  --build-arg COMMIT=$$(git describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null || echo unknown) \
	  --build-arg VERSION=$$(cat models/$(MODEL)/champion 2>/dev/null || echo none) .

test-deploy: .venv-deploy/.deploy ## the manifests and scripts of deploy/ by the platforms' own checks (apt install kubernetes-client)
	.venv-deploy/bin/python -m pytest -c tests/system/deploy/pytest.ini tests/system/deploy

image-test: .venv/.dev image ## the image as a platform runs it: locked down, mounted, starved, stopped
	IMAGE=$(IMAGE) MODEL=$(MODEL) $(BIN)/pytest -c tests/system/image/pytest.ini tests/system/image

up: ## the server, MLflow with PostgreSQL and Prometheus, in containers [MODEL=flights]
	@$(PYTHON) deploy/secrets_for_compose.py
	@$(COMPOSE) up --build --detach --wait
	@echo; echo "the server   http://127.0.0.1:$${API_PORT:-8080}"
	@echo "MLflow       http://127.0.0.1:$${MLFLOW_PORT:-5000}   (record there: MLFLOW_TRACKING_URI=http://127.0.0.1:$${MLFLOW_PORT:-5000} make train)"
	@echo "Prometheus   http://127.0.0.1:$${PROMETHEUS_PORT:-9090}"

down: ## end them; what they keep stays
	@$(COMPOSE) down

logs: ## what they say
	@$(COMPOSE) logs --follow --tail 50

stack-test: .venv/.dev ## all of them for real: train into that MLflow, kill each in turn, see that nothing is lost
	$(BIN)/pytest -c tests/system/stack/pytest.ini tests/system/stack

promote: .venv/.train ## make another bundle the champion [VERSION=digest WHY="…"]
	@$(BIN)/python -m pipeline promote $(CONFIG)

rollback: .venv/.train ## go back to the champion before this one [WHY="…"]
	@$(BIN)/python -m pipeline rollback $(CONFIG)

history: .venv/.train ## who made what the champion, when and why
	@$(BIN)/python -m pipeline history $(CONFIG)

bench: .venv/.dev ## measure everything that docs/benchmarks.md states, and write it there
	$(BIN)/python bench/measure.py

bench-serve: .venv/.dev .venv-peers/.peers ## this server and its peers, in turns, with wrk (apt install wrk)
	$(BIN)/python bench/serving.py

readme: .venv/.dev .venv/.serve ## run the three commands and put what they print, and the picture, into README.md
	$(BIN)/python docs/refresh.py

screenshots: .venv/.serve .venv-clients/.clients ## pictures of the page from the real server, for README [MODEL=flights]
	.venv-clients/bin/python docs/screenshots.py

mlflow: .venv/.train ## look at the recorded runs in MLflow [CONFIG=configs/flights.yaml]
	$(BIN)/python -m pipeline mlflow $(CONFIG)

lock: .venv/.lint ## resolve the dependencies of pyproject.toml again, into requirements/*.txt
	$(COMPILE) pyproject.toml --group dev -o requirements/dev.txt
	for set in train lint; do $(COMPILE) pyproject.toml --group $$set -c requirements/dev.txt -o requirements/$$set.txt || exit; done
	$(COMPILE) pyproject.toml -c requirements/dev.txt -o requirements/serve.txt
	$(COMPILE) pyproject.toml --extra signed -c requirements/dev.txt -o requirements/signed.txt
	$(COMPILE) --group pyproject.toml:clients -o requirements/clients.txt
	for set in checks deploy release; do $(COMPILE) --group pyproject.toml:$$set -o requirements/$$set.txt || exit; done
	$(COMPILE) --group pyproject.toml:mlflow -c requirements/dev.txt -o requirements/mlflow.txt
	$(COMPILE) --group pyproject.toml:peers -o requirements/peers.txt
	$(COMPILE) --group pyproject.toml:build -c requirements/dev.txt -o requirements/build.txt

clean: ## remove the environments, caches and reports; models and the record of runs stay
	rm -rf .venv* build reports src/*.egg-info .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find $(CODE) -name __pycache__ -prune -exec rm -rf {} +

.venv-clients/.clients: requirements/clients.txt requirements/install.py $(STALE)
	@$(PYTHON) requirements/install.py clients

.venv-deploy/.deploy: requirements/deploy.txt requirements/install.py $(STALE)
	@$(PYTHON) requirements/install.py deploy

.venv-checks/.checks: requirements/checks.txt requirements/install.py $(STALE)
	@$(PYTHON) requirements/install.py checks

.venv-release/.release: requirements/release.txt requirements/install.py $(STALE)
	@$(PYTHON) requirements/install.py release

.venv-peers/.peers: requirements/peers.txt requirements/install.py $(STALE)
	@$(PYTHON) requirements/install.py peers

.venv/.%: requirements/%.txt requirements/build.txt requirements/install.py pyproject.toml $(STALE)
	@$(PYTHON) requirements/install.py $*
