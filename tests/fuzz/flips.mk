# Checks, lists and discovery on a real kernel's memory, changed a little and put back, again and again (tests/fuzz/flips.c).
FLIPS_SRCS = tests/fuzz/flips.c tests/fuzz/flip.c $(INTROSPECTION_SRCS) $(PATCH_SRCS)
$(O)/flips: $(FLIPS_SRCS:%.c=$(O)/san/%.o)
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) $(SAN) -o $@ $^ $(PKG_LIBS)
