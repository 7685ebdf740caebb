INTROSPECTION_SRCS =
INTROSPECTION_SRCS += introspection/budget.c introspection/x86/pagetable.c introspection/kimage.c introspection/kallsyms.c \
	introspection/kallsyms_tables.c introspection/symbols.c introspection/btf.c introspection/btf_fields.c introspection/kernel.c introspection/task.c \
	introspection/module.c introspection/discover.c introspection/locate.c introspection/x86/gate.c
INTROSPECTION_SRCS += introspection/x86/disasm.c introspection/x86/store.c introspection/x86/store_insn.c introspection/x86/store_raw.c \
	introspection/patches/textpatch.c introspection/patches/load.c introspection/patches/text.c \
	introspection/patches/kinds.c introspection/patches/sites.c introspection/patches/tables.c introspection/patches/security.c \
	introspection/patches/functions.c introspection/patches/calls.c introspection/patches/thunks.c introspection/patches/change.c \
	introspection/patches/follow.c introspection/patches/ftrace.c introspection/patches/kept.c introspection/patches/probe.c introspection/patches/smp.c \
	introspection/x86/poker.c introspection/patches/canonical.c introspection/patches/hooks.c introspection/patches/hooks_find.c introspection/patches/hooks_kinds.c introspection/patches/hooks_lists.c introspection/patches/hooks_walk.c introspection/patches/hooks_unlisted.c
INTROSPECTION_SRCS += introspection/x86/entry.c introspection/x86/gadget.c introspection/x86/gadget_decode.c \
	introspection/x86/descriptor.c introspection/x86/descriptor_expect.c
CHECKS_SRCS = introspection/checks/run.c introspection/checks/table.c introspection/checks/read.c introspection/checks/pages.c introspection/checks/walk.c \
	introspection/checks/owner.c introspection/checks/found.c introspection/checks/slots.c introspection/checks/set.c \
	introspection/checks/each_task.c introspection/checks/listing.c \
	introspection/checks/calls.c introspection/checks/tasks.c introspection/checks/modules.c introspection/checks/lsm.c \
	introspection/checks/net.c introspection/checks/net_packets.c introspection/checks/nets.c introspection/checks/notifiers.c introspection/checks/files.c \
	introspection/checks/devices.c introspection/checks/registered.c introspection/checks/crypto.c introspection/checks/settings.c
CHECKS_SRCS += introspection/checks/hooks.c introspection/checks/entries.c introspection/checks/pieces.c introspection/checks/nobody.c introspection/checks/stacks.c \
	introspection/checks/cpus.c introspection/checks/mtree.c introspection/checks/deferred.c introspection/checks/irqs.c \
	introspection/checks/descriptors.c introspection/checks/bpf.c introspection/checks/programs.c introspection/checks/netlink.c introspection/checks/vdso.c
INTROSPECTION_SRCS += $(CHECKS_SRCS)
# What a kernel protects itself with, for the ringfence command alone: zlib (DUMP_LIBS).
POSTURE_SRCS = introspection/posture/look.c introspection/posture/read.c introspection/posture/read_cpu.c introspection/posture/read_pages.c \
	introspection/posture/config.c introspection/posture/rows_image.c introspection/posture/rows_memory.c introspection/posture/rows_use.c
