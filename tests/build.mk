# Unit tests and fuzz targets, both sanitised. One fragment per area (tests/unit/<area>.mk, tests/fuzz/<area>.mk):
#   UNIT_TESTS += test_foo            FUZZERS += fuzz_foo
#   test_foo_SRCS = tests/unit/test_foo.c introspection/foo.c
# A fuzz target keeps its seeds and regressions in tests/fuzz/corpus/<name>/.
UNIT_TESTS =
CMOCKA = -lcmocka
FUZZERS =
include $(wildcard tests/unit/*.mk tests/fuzz/*.mk tests/kvm/*.mk tests/lab/*.mk tests/guards/*.mk tests/mutants/*.mk tests/planted/*.mk)

$(O)/san/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $< (sanitised)"
	$(Q)$(CC) $(BASE) $(SAN) $(PKG_CFLAGS) -MMD -MP -c $< -o $@
$(O)/fuzz/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $< (fuzzer)"
	$(Q)$(CLANG) $(BASE) $(SAN) -fsanitize=fuzzer-no-link $(PKG_CFLAGS) -MMD -MP -c $< -o $@

.SECONDEXPANSION:
$(UNIT_TESTS:%=$(O)/tests/%): $(O)/tests/%: $$(addprefix $(O)/san/,$$($$*_SRCS:.c=.o))
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) $(SAN) -o $@ $^ $(CMOCKA) $(PKG_LIBS)
$(FUZZERS:%=$(O)/tests/%): $(O)/tests/%: $$(addprefix $(O)/fuzz/,$$($$*_SRCS:.c=.o))
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CLANG) $(SAN) -fsanitize=fuzzer -o $@ $^ $(CMOCKA) $(PKG_LIBS)

FUZZ_SECONDS ?= 20
.PHONY: check-test unit fuzz package
check-test:
	tests/check.py --self-test
package:
	tests/package.sh $(O)
unit: $(UNIT_TESTS:%=$(O)/tests/%)
	tests/run-unit $(O) $(UNIT_TESTS)
fuzz: $(FUZZERS:%=$(O)/tests/%)
	tests/run-fuzz $(O) $(FUZZ_SECONDS) $(FUZZERS)
