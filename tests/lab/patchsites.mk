# patchsites DUMP CR3 CR4 INSIDE [RECORDS [THUNKS]]: every patch site of a booted stock kernel, and what may become of it.
PATCHSITES_SRCS = tests/lab/patchsites.c $(INTROSPECTION_SRCS) $(PATCH_SRCS)
$(O)/patchsites: $(PATCHSITES_SRCS:%.c=$(O)/obj/%.o)
	$(CC) -pie -Wl,-z,relro,-z,now -o $@ $^ $(PKG_LIBS)
