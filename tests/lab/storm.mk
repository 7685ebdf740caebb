# SPDX-License-Identifier: LGPL-2.1-or-later
#   make storm [KERNELS="6.1 6.12"] [MINUTES=15]   everything that patches kernel text, in a whole Debian: build/storm.json
#   make storm-short [STORM_SHORT=6.12]            one round of less, for the check: build/storm-short.json
MINUTES ?= 15
STORM_SHORT ?= 6.12
STORM = tests/lab/storm.py --host-kernel $(HOST_KERNEL)

.PHONY: storm storm-short
storm: programs
	$(STORM) --kernels "$(KERNELS)" --minutes $(MINUTES)
storm-short: programs
	$(STORM) --kernels "$(STORM_SHORT)" --short
