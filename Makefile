# The two commands a newcomer needs are `make run` and `make test`.

BIN := .venv/bin
# Two at a time, because many tests wait for processes; a file's tests share what they set up.
SUITE := $(BIN)/python -m pytest -n 2 --dist loadfile
MODEL ?= openai/clip-vit-base-patch32
NAME ?= $(notdir $(MODEL))

.PHONY: help run test check reliability fmt bench model lock setup setup-test setup-export

help: ## This list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: setup ## Set up, then watch and classify as config.toml says
	@exec $(BIN)/feeder run

test: setup-test setup-export ## Set up, then run the whole suite
	@$(SUITE)

check: setup-test setup-export ## Lint, types, layers, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(SUITE)

reliability: setup-test ## Try each promise of docs/promises.md as often as it says (hours; root)
	@$(BIN)/python -m pytest tests/reliability --full

fmt: setup-test ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup-test setup-export ## Measure against the peers, in one run
	$(BIN)/python -m benchmarks

model: setup setup-export ## Export a CLIP: make model MODEL=ID_OR_FOLDER NAME=name
	$(BIN)/python scripts/export_clip.py --model $(MODEL) --output models/$(NAME)

lock: ## Pin the dependencies anew (needs uv)
	scripts/lock.sh

setup:
	@scripts/set_up.sh run

setup-test:
	@scripts/set_up.sh test

setup-export: setup-test
	@scripts/set_up.sh export
