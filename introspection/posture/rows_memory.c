// SPDX-License-Identifier: LGPL-2.1-or-later
/* What makes the kernel's own mistakes harder to use: stacks, allocators, checks that are compiled
 * in. */
#include <stddef.h>

#include "introspection/posture/impl.h"

#define ONLY_CONFIG(option)                                                                        \
	{                                                                                          \
		rf_read_config, (option), RF_IS, 1, .absent = RF_ABSENT_UNKNOWN                    \
	}
#define HAS_FUNCTION(names)                                                                        \
	{                                                                                          \
		rf_read_function, (names), RF_IS, .value = 1                                       \
	}
#define HAS_MEMBER(of, member)                                                                     \
	{                                                                                          \
		rf_read_member, (member), RF_IS, 1, .type = (of)                                   \
	}
#define KEY_ON(key)                                                                                \
	{                                                                                          \
		rf_read_key, (key), RF_IS, .value = 1                                              \
	}

const struct rf_posture_row rf_posture_memory[] = {
	/* kernel/panic.c __stack_chk_fail(), which both options have: arch/x86/Makefile, Makefile
	 * stackp-flags */
	{ "stack-protector", "built in, plain or strong",
	  "CONFIG_STACKPROTECTOR_STRONG; plain or strong is not told",
	  "else an overflow on the stack reaches the return address unseen",
	  .readings = { HAS_FUNCTION("__stack_chk_fail") } },
	/* include/linux/sched.h struct task_struct, for this one and the next two */
	{ "vmap-stack", "built in", "CONFIG_VMAP_STACK",
	  "else a stack that overflows runs into other memory",
	  .readings = { HAS_MEMBER("task_struct", "stack_vm_area") } },
	{ "thread-info-in-task", "built in", "CONFIG_THREAD_INFO_IN_TASK",
	  "else an overflow of the stack reaches what the kernel trusts of its task",
	  .readings = { HAS_MEMBER("task_struct", "thread_info") } },
	/* kernel/stackleak.c stack_erasing_bypass */
	{ "stack-erased", "built in and on", "CONFIG_KSTACK_ERASE or CONFIG_GCC_PLUGIN_STACKLEAK",
	  "else what a system call left on the stack leaks by the next one", .combine = RF_ALL,
	  .readings = { HAS_MEMBER("task_struct", "lowest_stack"),
			{ rf_read_key, "stack_erasing_bypass", RF_IS, 0,
			  .absent = RF_ABSENT_PASS } } },
	/* init/main.c */
	{ "stack-offset", "on",
	  "CONFIG_RANDOMIZE_KSTACK_OFFSET_DEFAULT; boot: randomize_kstack_offset=on",
	  "else each system call finds its stack at the same place",
	  .readings = { KEY_ON("randomize_kstack_offset") } },
	{ "stack-init", "built in", "CONFIG_INIT_STACK_ALL_ZERO",
	  "else variables that nobody has set hold what was there before",
	  .readings = { ONLY_CONFIG("CONFIG_INIT_STACK_ALL_ZERO=y") } },
	{ "registers-zeroed", "built in", "CONFIG_ZERO_CALL_USED_REGS",
	  "else a function leaves values in registers that gadgets use",
	  .readings = { ONLY_CONFIG("CONFIG_ZERO_CALL_USED_REGS=y") } },
	/* mm/usercopy.c: a key that is on to check, or (6.12) on not to. */
	{ "hardened-usercopy", "on", "CONFIG_HARDENED_USERCOPY; boot: hardened_usercopy=1",
	  "else a wrong length copies other objects to or from a program",
	  .readings = { { rf_read_key, "validate_usercopy_range", RF_IS, 1,
			  .absent = RF_ABSENT_PASS },
			{ rf_read_key, "bypass_usercopy_checks", RF_IS, 0, .absent = RF_ABSENT_PASS,
			  .words = rf_posture_off_on },
			HAS_FUNCTION("__check_object_size") } },
	/* mm/mm_init.c; mm/page_alloc.c before 6.4 */
	{ "init-on-alloc", "on", "CONFIG_INIT_ON_ALLOC_DEFAULT_ON; boot: init_on_alloc=1",
	  "else new memory holds what its last owner left there",
	  .readings = { KEY_ON("init_on_alloc") } },
	/* the same, and mm/page_poison.c */
	{ "init-on-free", "on", "CONFIG_INIT_ON_FREE_DEFAULT_ON; boot: init_on_free=1",
	  "else what is freed can be read for as long as nobody takes it", .combine = RF_ANY,
	  .readings = { KEY_ON("init_on_free"),
			{ rf_read_key, "_page_poisoning_enabled", RF_IS, 1,
			  .absent = RF_ABSENT_PASS } } },
	/* mm/slub.c, mm/slab.h struct kmem_cache, for this one and the next */
	{ "slab-freelist-random", "built in", "CONFIG_SLAB_FREELIST_RANDOM",
	  "else an attacker knows which object will lie beside which",
	  .readings = { HAS_MEMBER("kmem_cache", "random_seq") } },
	{ "slab-freelist-hardened", "built in", "CONFIG_SLAB_FREELIST_HARDENED",
	  "else an overwritten list of free objects makes the kernel hand out any memory",
	  .readings = { HAS_MEMBER("kmem_cache", "random") } },
	/* mm/slab_common.c */
	{ "slab-nomerge", "on", "CONFIG_SLAB_MERGE_DEFAULT not set; boot: slab_nomerge",
	  "else objects of different kinds share memory, and one overflows into another",
	  .readings = { { rf_read_number, "slab_nomerge", RF_IS, 1, .absent = RF_ABSENT_UNKNOWN,
			  .size = 1, .words = rf_posture_on_off } } },
	/* include/linux/slab.h enum kmalloc_cache_type: without the option both are the same. 7.x
	 * has other names. */
	{ "kmalloc-random", "built in",
	  "CONFIG_RANDOM_KMALLOC_CACHES or CONFIG_KMALLOC_PARTITION_CACHES",
	  "else all callers of kmalloc() share one heap of a size",
	  .readings = { { rf_read_span, "KMALLOC_RANDOM_START", RF_IS, 1, .absent = RF_ABSENT_PASS,
			  .path = "KMALLOC_RANDOM_END" },
			{ rf_read_span, "KMALLOC_PARTITION_START", RF_IS, 1,
			  .path = "KMALLOC_PARTITION_END" } } },
	/* mm/shuffle.c */
	{ "page-shuffle", "on", "CONFIG_SHUFFLE_PAGE_ALLOCATOR; boot: page_alloc.shuffle=1",
	  "else free pages are handed out in the order of their addresses",
	  .readings = { KEY_ON("page_alloc_shuffle_key") } },
	/* mm/page_table_check.c: a key that is on not to check */
	{ "page-table-check", "on", "CONFIG_PAGE_TABLE_CHECK_ENFORCED; boot: page_table_check=on",
	  "else one page gets into the tables of programs that must not share it",
	  .readings = { { rf_read_key, "page_table_check_disabled", RF_IS, 0,
			  .words = rf_posture_off_on } } },
	/* lib/refcount.c: since 5.5 all of them do */
	{ "refcount-saturates", "built in", "always, since 5.5",
	  "else a count that wraps around frees what is still used",
	  .readings = { HAS_FUNCTION("refcount_warn_saturate") } },
	/* lib/list_debug.c; the first since 6.6 */
	{ "list-hardened", "built in", "CONFIG_LIST_HARDENED or CONFIG_DEBUG_LIST",
	  "else an overwritten list writes where an attacker likes",
	  .readings = { HAS_FUNCTION("__list_add_valid_or_report|__list_add_valid") } },
	/* lib/string_helpers.c */
	{ "fortify-source", "built in", "CONFIG_FORTIFY_SOURCE",
	  "else a copy that is longer than its object is not noticed",
	  .readings = { HAS_FUNCTION("__fortify_panic|fortify_panic") } },
	/* mm/kfence/core.c */
	{ "kfence", "on", "CONFIG_KFENCE; boot: kfence.sample_interval=100",
	  "wrong accesses to memory are found by chance, in the field as well",
	  .readings = { { rf_read_number, "kfence_enabled", RF_IS, 1, .size = 1,
			  .words = rf_posture_on_off } } },
	/* include/linux/vermagic.h MODULE_RANDSTRUCT: modules must fit */
	{ "randstruct", "built in", "CONFIG_RANDSTRUCT_FULL",
	  "else an attacker knows where each member of a structure stands",
	  .readings = { { rf_read_text, "vermagic", RF_IS, 1, .absent = RF_ABSENT_UNKNOWN,
			  .path = "RANDSTRUCT" } } },
	/* kernel/panic.c; kernel/exit.c oops_limit since 6.2 */
	{ "panic-on-oops", "at the first oops",
	  "CONFIG_PANIC_ON_OOPS; boot: oops=panic; sysctl kernel.panic_on_oops = 1 or "
	  "kernel.oops_limit = 1",
	  "else an attacker tries again after each attempt that went wrong", .combine = RF_ANY,
	  .readings = { { rf_read_number, "panic_on_oops", RF_IS_NOT, 0,
			  .absent = RF_ABSENT_UNKNOWN, .words = rf_posture_on_off },
			{ rf_read_number, "oops_limit", RF_IS, 1, .absent = RF_ABSENT_PASS } } },
	{ 0 },
};
