INTROSPECTION_SRCS =
INTROSPECTION_SRCS += introspection/budget.c introspection/pagetable.c introspection/kimage.c introspection/kallsyms.c \
	introspection/kallsyms_tables.c introspection/symbols.c introspection/btf.c introspection/kernel.c introspection/task.c \
	introspection/module.c introspection/discover.c
INTROSPECTION_SRCS += introspection/disasm.c introspection/store.c introspection/store_insn.c introspection/store_raw.c \
	introspection/textpatch.c introspection/textpatch_load.c introspection/textpatch_text.c \
	introspection/textpatch_kinds.c introspection/textpatch_sites.c introspection/textpatch_tables.c \
	introspection/textpatch_functions.c introspection/textpatch_calls.c introspection/textpatch_thunks.c introspection/textpatch_change.c \
	introspection/textpatch_follow.c introspection/textpatch_ftrace.c introspection/textpatch_kept.c introspection/textpatch_probe.c introspection/textpatch_smp.c \
	introspection/textpatch_poker.c introspection/textpatch_canonical.c
INTROSPECTION_SRCS += introspection/entry.c introspection/gadget.c introspection/gadget_decode.c \
	introspection/descriptor.c introspection/descriptor_expect.c
