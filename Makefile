# Everything runs without make, too: `python make.py <command>`.
PYTHON ?= python3
FAMILY ?= sql
DB ?= sqlite

.PHONY: demo test check versions transparency corpus benchmark clean

demo test check versions transparency benchmark clean:
	$(PYTHON) make.py $@

corpus:
	$(PYTHON) make.py corpus $(FAMILY) $(DB)
