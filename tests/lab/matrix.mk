# SPDX-License-Identifier: LGPL-2.1-or-later
# The matrix of hosts, guests, VMMs and settings (docs/testing.md): makes docs/matrix.md. CELLS="base pti" runs some anew; HOSTS is
# how many emulated hosts run side by side. matrix-short is for a check, matrix-test boots nothing.
CELLS ?=
HOSTS ?= $(shell nproc)
export KVMTOOL
.PHONY: matrix matrix-short matrix-test
matrix: programs
	tests/lab/matrix.py --hosts $(HOSTS) $(CELLS)
matrix-short: programs
	tests/lab/matrix.py --hosts $(HOSTS) --short
matrix-test:
	tests/lab/matrix.py --self-test
