# make demo: install, train the five systems and a VAE on the bundled digits, leave a picture, a
#   table and report pages in runs/demo
# make test: linters, type checker, doctests and all tests that take seconds
# make test-slow: killed processes, experiments at smoke, the matrix of long trainings, the site and
#   the browser, the wheel in an empty environment
# make test-all: both
# make docs: the site, into site/
# make known: src/zspace/cli/known.json, which help and completion are made of, after a change of an
#   option or of a table of names
# make bench: speed against plain PyTorch and pythae
# make campaign: kills, full disks, mutated files, wrong options, two at once: up to some hours
# make bench-gpu: on a CUDA device, whether every recipe and sampler works, and what it costs

PYTHON ?= python3
PIP = .venv/bin/pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test test-slow test-all docs known bench bench-gpu campaign clean

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable .
	@touch $@

.venv/installed-dev: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[dev,docs]'
	@touch $@ .venv/installed

demo: .venv/installed
	.venv/bin/zspace reproduce all/systems --scale demo --data digits --out runs/demo
	for run in runs/demo/runs/*; do .venv/bin/zspace report $$run --quiet; done
	@echo
	@echo 'A row of samples of each system:  runs/demo/systems.png'
	@echo 'The table:                        runs/demo/systems.md'
	@echo 'All of a run in one page:         runs/demo/runs/*/report.html'
	@echo 'More samples:      .venv/bin/zspace sample runs/demo/runs/gen-digits-* --n 100 --out more.png'
	@echo 'Another sampler:   .venv/bin/zspace sample runs/demo/runs/vae-digits-* --sampler kde --out kde.png'
	@echo 'Measure and rank:  .venv/bin/zspace compare runs/demo/runs/* --sort fid'
	@echo 'Real data:         .venv/bin/zspace datasets --download mnist --data-dir data/mnist'
	@echo '                   .venv/bin/zspace train flexae-sr --data mnist --data-dir data/mnist'

test: .venv/installed-dev
	.venv/bin/ruff check src tests bench examples docs/*.py
	.venv/bin/ruff format --check src tests bench examples docs/*.py
	.venv/bin/pyright --pythonpath .venv/bin/python
	.venv/bin/pytest -n 2 --dist worksteal -m 'not slow'

test-slow: .venv/installed-dev
	.venv/bin/pytest -n 2 --dist worksteal -m slow

test-all: test test-slow

docs: .venv/installed-dev
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet
	@echo 'The site: site/index.html (python3 -m http.server --directory site shows it)'

known: .venv/installed
	.venv/bin/python -c 'from zspace.cli.known import write; write()'

bench: .venv/installed-dev
	$(PIP) --editable '.[bench]'
	.venv/bin/python bench/bench.py
	.venv/bin/python bench/metrics.py

campaign: .venv/installed-dev
	.venv/bin/python -W ignore -m tests.campaign

bench-gpu: .venv/installed
	.venv/bin/python bench/gpu.py

clean:
	rm -rf .venv runs dist site
