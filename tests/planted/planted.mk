# make planted [PLANTED="6.1 6.12 7"]: what a module plants is found in a dump of its guest, and nothing in one without. planted-short: on 6.12.
PLANTED ?= 6.1 6.12 7
LOOK_SRCS = tests/planted/look.c tests/planted/look_all.c $(INTROSPECTION_SRCS) $(PATCH_SRCS)
$(O)/look: $(LOOK_SRCS:%.c=$(O)/obj/%.o)
	$(CC) -pie -Wl,-z,relro,-z,now -o $@ $^ $(PKG_LIBS)
# It runs in the guest, which has no library.
$(O)/rf_life: tests/planted/life.c
	$(CC) $(BASE) -O1 -static -pthread -o $@ $<
.PHONY: planted planted-short planted-live quiet
planted: $(O)/look $(O)/flips $(O)/rf_life $(O)/ringfence
	O=$(O) python3 tests/planted/planted.py $(O) $(PLANTED)
planted-short: $(O)/look $(O)/flips $(O)/rf_life $(O)/ringfence
	O=$(O) python3 tests/planted/planted.py $(O) 6.12
# make quiet [ROUNDS=200] [QUIET="6.1 6.12 7 ..."]: no check finds anything in a busy guest, in so many rounds of each kernel.
ROUNDS ?= 200
QUIET ?= 6.1 6.12 7 6.1-full 6.12-full 6.1-rt 6.12-rt
quiet: $(O)/look $(O)/rf_life $(O)/ringfence
	O=$(O) python3 tests/planted/quiet.py $(O) $(ROUNDS) $(QUIET)
# In a sealed guest that runs: each plant is on record.
planted-live: programs $(O)/rf_life
	O=$(O) python3 tests/planted/live.py --host-kernel $(HOST_KERNEL)
