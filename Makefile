# make demo    derives the 2-2-2 example into output/two-two-two/
# make test    installs the test tools and runs everything that CI runs
# make quick   the everyday part of the tests
# Each makes a virtual environment in .venv, and touches nothing else of the machine.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
EXTRAS ?= test
CONSTRAINTS ?=
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test quick check pictures clean

demo: $(VENV)/installed
	@if command -v pdflatex >/dev/null 2>&1; then pdf="--to pdf"; else pdf=; fi; \
	$(BIN)/symbackprop derive examples/two-two-two.toml $$pdf

test: check
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

quick: $(VENV)/tested
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow"

check: $(VENV)/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The README's pictures: parts of pages as pdflatex sets them, and the web page in Chromium.
pictures: demo
	$(BIN)/symbackprop derive examples/two-two-two.toml --form index --to pdf --to html -o build/pictures
	$(BIN)/symbackprop derive examples/brilliant.toml --notation brilliant --to pdf -o build/pictures
	pdftoppm -f 2 -l 2 -r 100 -x 110 -y 185 -W 620 -H 725 -gray -png -singlefile \
	    build/pictures/two-two-two/two-two-two.pdf docs/pictures/two-two-two
	pdftoppm -f 2 -l 2 -r 100 -x 110 -y 60 -W 620 -H 1025 -gray -png -singlefile \
	    build/pictures/brilliant/brilliant.pdf docs/pictures/brilliant
	chromium --headless --no-sandbox --window-size=1280,1000 --screenshot=docs/pictures/page.png \
	    build/pictures/two-two-two/two-two-two.html

clean:
	rm -rf $(VENV)

$(VENV)/installed: pyproject.toml $(VENV)/made
	$(PIP) -e .
	@touch $@

$(VENV)/tested: pyproject.toml $(VENV)/made
	$(PIP) $(CONSTRAINTS) -e ".[$(EXTRAS)]"
	@touch $@ $(VENV)/installed

# The first Python of 3.11 or newer that there is; externally managed ones too, since this only makes
# an environment with it.
$(VENV)/made:
	@python=; \
	for each in $(PYTHON) python3.14 python3.13 python3.12 python3.11; do \
	    if command -v $$each >/dev/null 2>&1 \
	        && $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        python=$$each; break; \
	    fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "symbackprop needs Python 3.11 or newer, and there is none here: install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; \
	    exit 1; \
	fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "$$python can't make a virtual environment: on Debian and Ubuntu, apt-get install python3-venv" >&2; \
	    exit 1; \
	fi; \
	$$python -m venv $(VENV)
	@touch $@
