# SPDX-License-Identifier: LGPL-2.1-or-later
# The monitor with one more guard: a file, and a row of RF_GUARDS.
$(O)/example/monitor/guard.h: monitor/guard.h
	@mkdir -p $(@D)
	$(Q)sed 's/^#define RF_GUARDS(row)/& row(example)/' $< >$@
$(O)/example/guards.o: monitor/guards.c $(O)/example/monitor/guard.h
	$(Q)$(CC) -I$(O)/example $(FLAGS) $(PKG_CFLAGS) -MMD -MP -c $< -o $@
EXAMPLE_OBJS = $(O)/obj/tests/guards/example.o $(O)/example/guards.o \
	$(patsubst %.c,$(O)/obj/%.o,$(filter-out monitor/guards.c,$(MONITOR_SRCS)) $(PATCH_SRCS) $(BACKEND_SRCS) $(INTROSPECTION_SRCS) $(POLICY_SRCS))
$(O)/ringfence-monitor-example: $(EXAMPLE_OBJS)
	@echo "  LD $@"
	$(Q)$(CC) -pie -Wl,-z,relro,-z,now -o $@ $^ $(PKG_LIBS)
