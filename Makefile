# The commands a user types; `make help` lists them. A recipe line that runs a service or a test is one simple command.
# So make itself is the parent, and Ctrl-C or a kill of make reaches the child.
.DEFAULT_GOAL := help
.PHONY: help setup warm real-time demo tour test test-unit test-patterns test-second-spark test-e2e test-compose test-faults faults mutants lint up down bench lock docs parts-sums state-store sbom audit clean
.SUFFIXES:
SHELL := /bin/sh

BIN := .venv/bin
STAMP := .venv/.complete
PYTHON ?=

# pip has its own list of authorities. Behind a TLS proxy, only the system's list has the proxy's authority.
SYSTEM_BUNDLE := $(firstword $(wildcard $(SSL_CERT_FILE) /etc/ssl/certs/ca-certificates.crt \
	/etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem))
ifneq ($(SYSTEM_BUNDLE),)
export PIP_CERT ?= $(SYSTEM_BUNDLE)
endif
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

help: ## list these commands
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1|/p' Makefile | awk -F'|' '{ printf "  make %-18s %s\n", $$1, $$2 }'

setup: $(STAMP) ## make .venv with the locked requirements (PYTHON=python3.12 chooses the Python of a new .venv)

$(STAMP): requirements-dev.lock pyproject.toml
	@sh .ci/venv $(PYTHON)
	$(BIN)/python -m pip install --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

warm: $(STAMP) ## make Spark's class archive: later starts take some seconds less
	@$(BIN)/python -m streaming.spark.class_archive

real-time: $(STAMP) ## fetch the Spark of real-time mode ahead of time, and make its class archive (450 MB of downloads)
	@$(BIN)/python -m stack.real_time $(BIN)/python -m streaming.spark.class_archive

demo: $(STAMP) ## from an empty machine to ad_metrics in cqlsh
	@$(BIN)/adstream demo

NO_WAIT :=
tour: $(STAMP) ## the life of a pipeline, step by step, in a quarter of an hour (NO_WAIT=1 waits for nobody)
	@$(BIN)/adstream tour $(if $(NO_WAIT),--no-wait)

# After a failed run, `tests.longest` still prints the longest tests, and then fails itself.
test: $(STAMP) ## all checks and tests, on real services; at the end, what took longest
	@rm -rf $(RAN)
	-@$(MAKE) --no-print-directory test-all
	@$(BIN)/python -m tests.longest $(RAN)

.PHONY: test-all
test-all: $(STAMP)
	@rm -rf $(RAN)/taken
	$(MAKE) --no-print-directory -j2 test-quick lint warm
	$(MAKE) --no-print-directory test-patterns
	$(MAKE) --no-print-directory test-second-spark
	$(MAKE) --no-print-directory -j$(words $(SHARES)) $(SHARES)
	@touch $(RAN)/passed

# In this folder, runs of pytest write the seconds of each test, and mark the files that they share.
RAN := build/tests

# Two processes. The files with drawn examples take long, so they come first.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder

test-unit: $(STAMP) ## the checks, and the tests that need neither a service nor Spark
	$(MAKE) --no-print-directory -j2 test-quick lint

.PHONY: test-quick
test-quick: $(STAMP)
	$(BIN)/pytest $(PARALLEL) --times $(RAN)/quick.json $(wildcard tests/property tests/unit) --ignore=tests/unit/streaming

test-patterns: $(STAMP) warm ## decoding and judging, and every pattern as batch, stream, shuffled and with a crash, in Spark
	$(BIN)/pytest $(PARALLEL) --times $(RAN)/patterns.json tests/patterns tests/unit/streaming

# The parts of real-time jobs, tested under their Spark. `make test-faults` runs all other patterns there, too.
SECOND_SPARK := tests/patterns/test_ad_metrics.py tests/patterns/test_simple_windows.py tests/patterns/test_two_sparks.py \
	tests/unit/streaming/test_decode.py tests/unit/streaming/test_judge.py tests/unit/streaming/test_money.py

test-second-spark: $(STAMP) real-time ## patterns and decoding under the Spark of real-time mode
	$(BIN)/python -m stack.real_time $(BIN)/pytest $(PARALLEL) --times $(RAN)/second-spark.json $(SECOND_SPARK)

# These runs go on at once, each with services and a Spark of its own. They share the files (tests/shared_files.py).
SHARES := test-share-1 test-share-2 test-share-3
SHARED := tests/compose tests/browser tests/e2e tests/faults

.PHONY: $(SHARES)
$(SHARES): $(STAMP)
	$(BIN)/pytest $(SHARED) --shared $(RAN)/taken --times $(RAN)/$@.json -m 'not thorough'

test-e2e: $(STAMP) warm ## the tests on real services alone, with the faults that take little time
	@rm -rf $(RAN)
	$(MAKE) --no-print-directory -j$(words $(SHARES)) $(SHARES) SHARED='tests/e2e tests/faults'

.PHONY: test-browser
test-browser: $(STAMP) warm ## the dashboard in Chromium, on real services; skipped where there is none
	$(BIN)/pytest tests/browser

test-compose: $(STAMP) ## docker-compose.yml from the producer to cqlsh; skipped where no Docker engine answers
	$(BIN)/pytest tests/compose

# The long tests of tests/e2e: the tour (over three minutes), the pages followed word for word, and more.
SEEDS := 10
test-faults: $(STAMP) ## every fault, ten times each (SEEDS=3 for fewer), and other long tests; hours
	$(MAKE) --no-print-directory test-second-spark SECOND_SPARK='tests/patterns tests/unit/streaming'
	$(BIN)/pytest tests/e2e -m thorough
	$(BIN)/pytest tests/faults --seeds $(SEEDS)

MINUTES := 30
KIND :=
TOGETHER := 1
faults: $(STAMP) ## half an hour of the fault campaign, which goes on where it stopped (MINUTES=60, KIND=cassandra, TOGETHER=5)
	@$(BIN)/python -m tests.faults.campaign --minutes $(MINUTES) --kind '$(KIND)' --together $(TOGETHER)

ONLY :=
mutants: $(STAMP) ## put plausible faults into a copy of the code, one at a time; a test must catch each (ONLY=watermark)
	@$(BIN)/python -m tests.mutants --only '$(ONLY)'

lint: $(STAMP) ## ruff, import-linter and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

up: $(STAMP) ## start Kafka, the schema registry and Cassandra
	@$(BIN)/adstream up

down: $(STAMP) ## stop them; their data are kept
	@$(BIN)/adstream down

bench: $(STAMP) ## measure, on the services that `make up` starts; hours
	@$(BIN)/python -m benchmarks

.PHONY: soak
soak: $(STAMP) ## half an hour of steady load: what grows, and is all counted (MINUTES=90 for longer)
	@$(BIN)/python -m benchmarks.soak --minutes $(MINUTES)

.PHONY: soak-real-time
soak-real-time: $(STAMP) ## the same in real-time mode, at 1,000 messages a second
	@$(BIN)/python -m benchmarks.soak --real-time --minutes $(MINUTES)

DATE :=
BEFORE :=
.PHONY: day
day: MINUTES := 60
day: $(STAMP) ## 24 hours of events in one, with all that a day brings (MINUTES=6, DATE=2026-03-29, BEFORE=folder)
	@$(BIN)/python -m benchmarks.day --minutes $(MINUTES) $(if $(DATE),--date '$(DATE)') $(if $(BEFORE),--before '$(BEFORE)')

lock: ## resolve the requirements anew (UPGRADE=--upgrade takes the newest that pyproject.toml allows)
	@sh .ci/lock $(UPGRADE)

docs: $(STAMP) ## write the tables of options in docs/patterns
	@$(BIN)/python -m adstream.commands.option_tables

parts-sums: $(STAMP) ## list the JVM parts that stack/ivy.xml comes to, with their sums
	$(BIN)/python -m stack.parts_list

state-store: $(STAMP) ## compile streaming/spark/jvm, the state store of the jobs, with Spark's own compiler
	$(BIN)/python -m streaming.spark.state_store_jar

sbom: $(STAMP) ## list everything that this is made of, for scanners: build/sbom.cdx.json
	@mkdir -p build
	@$(BIN)/python -m stack.bill_of_materials >build/sbom.cdx.json

audit: ## ask for known vulnerabilities of the Python requirements
	@sh .ci/audit

clean: down ## remove .venv and .adstream: the data of the local stacks, all checkpoints, the warehouse
	@test ! -d .adstream/secured || $(BIN)/adstream down --secured
	rm -rf .venv .adstream
