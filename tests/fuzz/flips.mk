# Checks, lists and discovery on a real kernel's memory, changed a little and put back, again and again (tests/fuzz/flips.c).
#   make fuzz-dumps [EXECUTIONS=10000000] [SEED=n] [DUMPS=build/lab/planted/6.12/args-PLANTED]
FLIPS_SRCS = tests/fuzz/flips.c tests/fuzz/flip.c $(INTROSPECTION_SRCS) $(PATCH_SRCS)
$(O)/flips: $(FLIPS_SRCS:%.c=$(O)/san/%.o)
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) $(SAN) -o $@ $^ $(PKG_LIBS)
EXECUTIONS ?= 10000000
# Those that `KEEP=1 make planted` has left; where there are none it is run first.
DUMPS ?= $(wildcard $(O)/lab/planted/*/args-*)
.PHONY: fuzz-dumps
fuzz-dumps: $(O)/flips $(O)/look $(O)/rf_life $(O)/ringfence
	$(if $(DUMPS),,KEEP=1 O=$(O) python3 tests/planted/planted.py $(O) $(PLANTED))
	tests/fuzz/dumps.py $(O) $(EXECUTIONS) $(or $(DUMPS),$(O)/lab/planted/*/args-*)
