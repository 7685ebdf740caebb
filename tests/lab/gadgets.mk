# gadgets DUMP CR3 CR4 INSIDE TEXT LIST; tables DUMP CR3 CR4 INSIDE REGISTERS...: parts of `make oracle`.
GADGETS_SRCS = tests/lab/gadgets.c $(INTROSPECTION_SRCS) $(PATCH_SRCS)
$(O)/gadgets: $(GADGETS_SRCS:%.c=$(O)/obj/%.o)
	$(CC) -pie -Wl,-z,relro,-z,now -o $@ $^ $(PKG_LIBS)
TABLES_SRCS = tests/lab/tables.c $(INTROSPECTION_SRCS) $(PATCH_SRCS)
$(O)/tables: $(TABLES_SRCS:%.c=$(O)/obj/%.o)
	$(CC) -pie -Wl,-z,relro,-z,now -o $@ $^ $(PKG_LIBS)
