# make oracle [KERNELS="6.1 6.12"]: what introspection sees in stock kernels, against what they say of themselves; oracle-short: in
# one of them, for the check.
ORACLE_SRCS = tests/lab/oracle.c $(INTROSPECTION_SRCS) $(PATCH_SRCS)
$(O)/oracle: $(ORACLE_SRCS:%.c=$(O)/obj/%.o)
	$(CC) -pie -Wl,-z,relro,-z,now -o $@ $^ $(PKG_LIBS)
LOCATE_SRCS = tests/lab/locate.c $(INTROSPECTION_SRCS) $(PATCH_SRCS) $(DUMP_SRCS)
$(O)/locate: $(LOCATE_SRCS:%.c=$(O)/obj/%.o)
	$(CC) -pie -Wl,-z,relro,-z,now -o $@ $^ $(PKG_LIBS) $(DUMP_LIBS)
.PHONY: oracle oracle-short
oracle oracle-short: $(O)/ringfence $(O)/oracle $(O)/patchsites $(O)/gadgets $(O)/tables $(O)/locate
	O=$(O) python3 tests/lab/oracle.py $(O)/oracle $(if $(@:oracle-short=),$(KERNELS),--short 6.12)
