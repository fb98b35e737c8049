# The commands of the README. Each one installs what it needs first.
.PHONY: demo test faults soak check clean image image-lock test-image
.DEFAULT_GOAL := help

ENV := .venv/.installed

# Where it is set, each of a lab's processes compiles anew what has changed since the installation.
unexport PYTHONDONTWRITEBYTECODE

help:
	@echo "make demo    compare the three architectures on this machine (about 5 minutes; root)"
	@echo "make test    run the tests (root)"
	@echo "make faults  break a lab under load, and prove that nothing is lost (about 5 minutes; root)"
	@echo "make soak    the same with random faults for SOAK_S seconds from the seed SOAK_SEED (root)"
	@echo "make test-engine  the Pulumi program under the real engine against a server on this machine"
	@echo "make image   build the machine image (root, about 1 minute)"
	@echo "make test-image  build it, boot it in each role and look at it from outside (root, about 9 minutes)"
	@echo "make check   formatting, lint, types, import rules"
	@echo "make clean   end a running lab and remove what was built (not while a command uses one)"

$(ENV): .ci/install uv.lock pyproject.toml service/pyproject.toml
	@.ci/install

demo: $(ENV)
	.venv/bin/isochrone compare --users 960 --ramp 10 --duration 20 --data-path both --out out/demo

test: $(ENV)
	.venv/bin/pytest -q -n 3 --dist loadfile

faults: $(ENV)
	.venv/bin/isochrone faults run --suite short --name faults --out out/faults

SOAK_S ?= 3600
SOAK_SEED ?= 1

soak: $(ENV)
	.venv/bin/isochrone faults soak --duration $(SOAK_S) --seed $(SOAK_SEED) --name soak --out out/soak

# Exits with 77, and says why, where the engine or its AWS provider is not installed.
test-engine: $(ENV)
	.venv/bin/python -m tests.engine.run

image: $(ENV)
	@ami/build/install
	.venv/bin/python -m ami.build

# Records the newest of Debian's packages as those of the image.
image-lock: $(ENV)
	@ami/build/install
	.venv/bin/python -m ami.build lock

# The guests have a network of their own, in which the metadata service's address is a test's.
test-image: image
	ISOCHRONE_IMAGE=1 unshare --net .venv/bin/python -m pytest -q -n 3 --dist loadfile --durations=15 tests/image

check: $(ENV)
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

clean:
	@if [ -x .venv/bin/isochrone ]; then .venv/bin/isochrone lab down && .venv/bin/isochrone lab down --name faults && .venv/bin/isochrone lab down --name soak; fi
	rm -rf .venv .tools out dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
