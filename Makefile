# make demo: install, draw faces and clothes from the zoo, train a VAE on the bundled digits, leave
#   pictures and a report page in runs/demo
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
# a thread for each process: several that wait for one another busily take tens of times as long
ONE = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 OMP_WAIT_POLICY=passive
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
	.venv/bin/zspace sample zoo:faces --n 64 --seed 1 --out runs/demo/faces.png
	.venv/bin/zspace sample zoo:fashion-flow --label all --n 50 --guidance 1.5 --out runs/demo/clothes.png
	.venv/bin/zspace interpolate zoo:faces --sampler prior --n 6 --seed 3 --out runs/demo/interpolations.png
	.venv/bin/zspace train vae --data digits --likelihood bernoulli --arch fc --hidden 256 \
	    --latent-dim 16 --batch-size 64 --iterations 1500 --out runs/demo/vae --overwrite
	.venv/bin/zspace fit-sampler runs/demo/vae --sampler mixture
	.venv/bin/zspace evaluate runs/demo/vae --features pixels
	.venv/bin/zspace report runs/demo/vae
	@echo
	@echo 'Faces, clothes by class, interpolations:          runs/demo/*.png'
	@echo 'The report of the VAE that was trained here:      runs/demo/vae/report.html'
	@echo 'More models that need no training:  .venv/bin/zspace zoo'
	@echo 'The five systems on the digits:     .venv/bin/zspace reproduce all/systems --scale demo --data digits --out runs/systems'
	@echo 'Real data:                          .venv/bin/zspace datasets --download mnist --data-dir data/mnist'
	@echo '                                    .venv/bin/zspace train flexae-sr --data mnist --data-dir data/mnist --arch fc --hidden 256 --iterations 6000'

test: .venv/installed-dev
	.venv/bin/ruff check src tests bench examples docs/*.py
	.venv/bin/ruff format --check src tests bench examples docs/*.py
	.venv/bin/pyright --pythonpath .venv/bin/python
	$(ONE) .venv/bin/pytest -n 2 --dist worksteal -m 'not slow'

test-slow: .venv/installed-dev
	$(ONE) .venv/bin/pytest -n 2 --dist worksteal -m slow

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
