# make demo: install, train on the bundled digits, leave pictures in runs/demo
# make test: linters, type checker, tests and doctests
# make bench: speed against plain PyTorch and pythae

PYTHON ?= python3
PIP = .venv/bin/pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test bench clean

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable .
	@touch $@

.venv/installed-dev: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[dev]'
	@touch $@ .venv/installed

demo: .venv/installed
	.venv/bin/zspace train flexae --data digits --out runs/demo --overwrite \
	  --iterations 2500 --batch-size 64 --latent-dim 16 --width 32 --hidden 256
	@echo
	@echo 'The pictures: runs/demo/samples.png, reconstructions.png, interpolation.png, losses.png'
	@echo 'More samples:      .venv/bin/zspace sample runs/demo --n 100 --seed 1 --out more.png'
	@echo 'Another sampler:   .venv/bin/zspace sample runs/demo --sampler mixture --out mixture.png'
	@echo 'Measure it:        .venv/bin/zspace evaluate runs/demo'
	@echo 'All in one page:   .venv/bin/zspace report runs/demo'
	@echo 'Train it further:  .venv/bin/zspace resume runs/demo --iterations 5000'
	@echo 'Real data:         .venv/bin/zspace datasets --download mnist --data-dir data/mnist'
	@echo '                   .venv/bin/zspace train flexae-sr --data mnist --data-dir data/mnist'

test: .venv/installed-dev
	.venv/bin/ruff check src tests bench
	.venv/bin/ruff format --check src tests bench
	.venv/bin/pyright --pythonpath .venv/bin/python
	.venv/bin/pytest -n 2 --dist worksteal

bench: .venv/installed-dev
	$(PIP) --editable '.[bench]'
	.venv/bin/python bench/bench.py
	.venv/bin/python bench/metrics.py

clean:
	rm -rf .venv runs dist
