# make unit-arm64: the unit tests of what all architectures share, and arm64's own, cross-compiled and run by qemu-aarch64.
# tests/shim/ stands in for cmocka; undefined behaviour is trapped. To add a test: its name in ARM64_SHARED. Not the monitor's
# (test_backend): the emulator keeps the descriptors that come with a control message which it cuts.
ARM64_SHARED = test_decode_arm64 test_decode test_split test_memslots test_guestmem test_guestmem_heal test_text test_text_loads test_channel test_event test_serve \
	test_life test_life_loads test_proto test_patch_judge
ARM64_ALONE = test_shim_arm64 test_exit_arm64 test_refusal_arm64
ARM64_TESTS = $(ARM64_ALONE) $(ARM64_SHARED)
UNIT_TESTS += test_decode_arm64 $(if $(filter arm64,$(ARCH)),$(ARM64_ALONE))
test_decode_arm64_SRCS = tests/unit/test_decode_arm64.c hv/arm64/decode.c
test_exit_arm64_SRCS = tests/unit/test_exit_arm64.c hv/arm64/exit.c
test_shim_arm64_SRCS = tests/unit/test_shim_arm64.c
test_refusal_arm64_SRCS = tests/unit/test_refusal_arm64.c
# Linked before libc, as if it were preloaded.
$(O)/tests/test_refusal_arm64: $(O)/libringfence.so

ARM64_SAN = -O1 -fsanitize=undefined -fsanitize-undefined-trap-on-error -fno-omit-frame-pointer -Itests/shim
ARM64_RUN = qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH=$(O)/arm64
.PHONY: unit-arm64 unit-arm64-run
unit-arm64:
	+$(Q)for tool in $(ARM64_CC) $(firstword $(ARM64_RUN)); do \
		command -v $$tool >/dev/null && continue; \
		echo "unit-arm64 skipped: no $$tool (scripts/packages.sh installs it)"; \
		echo "unit-arm64: 0 passed, 0 failed, 1 skipped"; \
		exit 0; \
	done; $(MAKE) --no-print-directory unit-arm64-run
unit-arm64-run: arm64
	+$(Q)$(ARM64_MAKE) SAN="$(ARM64_SAN)" CMOCKA= fence-circles $(ARM64_TESTS:%=$(O)/arm64/tests/%)
	$(Q)LABEL=unit-arm64 RUN="$(ARM64_RUN)" tests/run-unit $(O)/arm64 $(ARM64_TESTS)
.PHONY: fence-circles
fence-circles: $(FENCE_SRCS:%.c=$(O)/fence/%.o)
	$(Q)scripts/link-graph "the fence" $^
