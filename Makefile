.DEFAULT_GOAL := help
PY := .venv/bin/python
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Compiled code is kept, whatever the shell says: without it each start of the CLI and the daemon compiles all of Corten.
unexport PYTHONDONTWRITEBYTECODE

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 10

setup: .venv/ready ## system packages and .venv, from nothing
.venv/ready: requirements.lock pyproject.toml tools/setup.sh
	sh tools/setup.sh

demo: setup ## the main job, from nothing: a real model answers from a container
	$(PY) -m tools.demo

test: setup check ## everything CI runs
	sh tools/suites.sh

test-vm: setup ## all of the product on Linux 5.10, 6.1, 6.12 and the newest, cgroup v1 and v2, in virtual machines; 40 min
	$(PY) -m pytest --privileged -rs tests/machines
	$(PY) -m pytest --privileged -m slow tests/kernel/test_cgroup_v2.py tests/kernel/test_nfs.py

check: setup ## the inner loop: format, lint, types, arrows, sizes, unit (< 15 s)
	@sh tools/check.sh

t: setup ## one unit file: make t T=store/content
	$(PY) -m pytest tests/unit/$(dir $(T))test_$(notdir $(T)).py

fmt: setup ## format and sort imports in place
	ruff check -q --fix src tests tools; ruff format -q src tests tools

run: setup ## a daemon on ./tmp/corten.sock; prints the DOCKER_HOST line
	@mkdir -p tmp; echo "export DOCKER_HOST=unix://$(CURDIR)/tmp/corten.sock"; \
	exec cortend -H unix://$(CURDIR)/tmp/corten.sock --data-root $(CURDIR)/tmp/data --exec-root $(CURDIR)/tmp/run

bench: setup ## the table against Docker and podman: make bench DOCKER=unix:///run/docker.sock
	$(PY) -m tools.bench $(if $(DOCKER),--docker $(DOCKER)) $(BENCH)

docs: setup ## regenerate reference pages; fails if they differed
	$(PY) -m tools.docs

clean: ## remove .venv, tmp and caches
	rm -rf .venv tmp dist .mypy_cache .ruff_cache .hypothesis .import_linter_cache

.PHONY: help setup demo test test-vm check t fmt run bench docs clean
