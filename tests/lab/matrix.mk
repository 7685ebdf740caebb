# SPDX-License-Identifier: LGPL-2.1-or-later
# The matrix of hosts, guests, VMMs and settings (docs/testing.md): makes docs/matrix.md. CELLS="base pti" runs some anew, REST=1
# those without a result; HOSTS is how many emulated hosts run side by side. matrix-short is for a check; matrix-page and
# matrix-test boot nothing.
CELLS ?=
HOSTS ?= $(shell nproc)
export KVMTOOL
.PHONY: matrix matrix-short matrix-page matrix-test
matrix: programs
	tests/lab/matrix.py --hosts $(HOSTS) $(if $(filter-out 0,$(REST)),--rest) $(CELLS)
matrix-short: programs
	tests/lab/matrix.py --hosts $(HOSTS) --short
matrix-page: programs
	tests/lab/matrix.py --page
matrix-test:
	tests/lab/matrix.py --self-test
