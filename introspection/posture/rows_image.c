// SPDX-License-Identifier: LGPL-2.1-or-later
/* The kernel's own memory, its processors, its modules. x86's. */
#include <stddef.h>

#include "introspection/posture/impl.h"

/* security/lockdown/lockdown.c: a reason is forbidden from the level on that is not below it
 * (include/linux/security.h enum lockdown_reason). */
static const struct rf_word lockdown_levels[] = {
	{ .enumerator = "LOCKDOWN_NONE", .text = "none" },
	{ .enumerator = "LOCKDOWN_INTEGRITY_MAX", .text = "integrity" },
	{ .enumerator = "LOCKDOWN_CONFIDENTIALITY_MAX", .text = "confidentiality" },
	{ 0 },
};
static const struct rf_word enforced[] = { { NULL, 0, "not enforced" },
					   { NULL, 1, "enforced" },
					   { 0 } };
static const struct rf_word yes_no[] = { { NULL, 0, "no" }, { NULL, 1, "yes" }, { 0 } };
/* arch/x86/include/asm/cfi.h */
static const struct rf_word cfi_modes[] = {
	{ .enumerator = "CFI_AUTO", .text = "not decided" },
	{ .enumerator = "CFI_OFF", .text = "off" },
	{ .enumerator = "CFI_KCFI", .text = "kCFI" },
	{ .enumerator = "CFI_FINEIBT", .text = "FineIBT" },
	{ 0 },
};
static const struct rf_word mitigations[] = {
	{ .enumerator = "CPU_MITIGATIONS_OFF", .text = "off" },
	{ .enumerator = "CPU_MITIGATIONS_AUTO", .text = "auto" },
	{ .enumerator = "CPU_MITIGATIONS_AUTO_NOSMT", .text = "auto,nosmt" },
	{ 0 },
};

/* SDM vol. 3A 2.5. What the kernel pins of CR4 for as long as it runs: arch/x86/kernel/cpu/common.c
 * cr4_pinned_bits, filled in by setup_cr_pinning(). */
#define CR0_WP (1u << 16)
#define CR4_UMIP (1u << 11)
#define CR4_SMEP (1u << 20)
#define CR4_SMAP (1u << 21)
#define KASLR_FLAG (1u << 1) /* arch/x86/include/uapi/asm/bootparam.h */

#define CR4_BIT(bit)                                                                               \
	{ .read = rf_read_register,                                                                \
	  .name = "CR4",                                                                           \
	  .wanted = RF_IS,                                                                         \
	  .value = 1,                                                                              \
	  .absent = RF_ABSENT_PASS,                                                                \
	  .mask = (bit) },                                                                         \
	{                                                                                          \
		.read = rf_read_number, .name = "cr4_pinned_bits", .wanted = RF_IS, .value = 1,    \
		.absent = RF_ABSENT_PASS, .size = 8, .mask = (bit)                                 \
	}
#define NO_PAGE(what, bits, first, behind)                                                         \
	{                                                                                          \
		.read = rf_read_pages, .name = (what), .wanted = RF_IS, .value = 0,                \
		.mask = (bits), .type = (first), .path = (behind)                                  \
	}
#define FLAG(flag)                                                                                 \
	{                                                                                          \
		rf_read_flag, (flag), RF_IS, 1, .absent = RF_ABSENT_UNKNOWN                        \
	}

const struct rf_posture_row rf_posture_image[] = {
	/* include/asm-generic/vmlinux.lds.h, arch/x86/mm/init_64.c mark_rodata_ro() */
	{ "kernel-rwx", "read-only text, NX data", "CONFIG_STRICT_KERNEL_RWX; boot: rodata=on",
	  "else one stray write changes the kernel's code, or data is run as code",
	  .combine = RF_ALL, .reads = 1u << 16,
	  .readings = { NO_PAGE("text", RF_PAGE_WRITABLE, "_stext", "_etext"),
			NO_PAGE("constants", RF_PAGE_WRITABLE, "__start_rodata", "__end_rodata"),
			NO_PAGE("constants", RF_PAGE_EXECUTABLE, "__start_rodata", "__end_rodata"),
			NO_PAGE("data", RF_PAGE_EXECUTABLE, "_sdata", "_edata") } },
	{ "module-rwx", "no W+X page", "CONFIG_STRICT_MODULE_RWX",
	  "else a module's code can be rewritten like its data", .reads = 1u << 18,
	  .readings = { { rf_read_module_pages, "modules", RF_IS, 0, .absent = RF_ABSENT_UNKNOWN,
			  .mask = RF_PAGE_WRITABLE | RF_PAGE_EXECUTABLE } } },
	{ "no-wx-pages", "no W+X page", "CONFIG_DEBUG_WX reports them",
	  "what is written there can be run as the kernel at once", .reads = 1u << 20,
	  .readings = { { rf_read_all_pages, "the kernel's half", RF_IS, 0,
			  .mask = RF_PAGE_WRITABLE | RF_PAGE_EXECUTABLE } } },
	{ "write-protect", "on", "the kernel always sets CR0.WP",
	  "without it the kernel itself writes to what is read-only",
	  .readings = { { rf_read_register, "CR0", RF_IS, 1, .absent = RF_ABSENT_UNKNOWN,
			  .mask = CR0_WP } } },
	{ "nx", "on", "a processor with NX", "without it all that can be read can be run",
	  .readings = { FLAG("nx") } },
	{ "smep", "on", "a processor with SMEP; boot: no nosmep",
	  "without it a stray jump of the kernel's ends in a program's code",
	  .readings = { CR4_BIT(CR4_SMEP), FLAG("smep") } },
	{ "smap", "on", "a processor with SMAP; boot: no nosmap",
	  "without it a stray pointer of the kernel's leads to a program's data",
	  .readings = { CR4_BIT(CR4_SMAP), FLAG("smap") } },
	{ "umip", "on", "CONFIG_X86_UMIP, a processor with UMIP",
	  "without it a program learns where the kernel's descriptor tables lie",
	  .readings = { CR4_BIT(CR4_UMIP), FLAG("umip") } },
	/* arch/x86/include/asm/setup.h kaslr_enabled() */
	{ "kaslr", "on", "CONFIG_RANDOMIZE_BASE; boot: no nokaslr",
	  "without it an attacker knows the address of everything in the kernel",
	  .readings = { { rf_read_number, "boot_params", RF_IS, 1, .absent = RF_ABSENT_UNKNOWN,
			  .size = 1, .mask = KASLR_FLAG, .type = "boot_params",
			  .path = "hdr.loadflags" } } },
	{ "kaslr-memory", "on", "CONFIG_RANDOMIZE_MEMORY; boot: no nokaslr",
	  "without it an attacker knows where all memory is mapped",
	  .readings = { { rf_read_page_offset, "page_offset_base", RF_IS, .value = 1 } } },
	/* arch/x86/mm/pti.c sets the flag; without Meltdown nothing is gained by it. */
	{ "pti", "on, where the processor needs it",
	  "CONFIG_MITIGATION_PAGE_TABLE_ISOLATION; boot: pti=on",
	  "without it a program reads the kernel's memory on processors with Meltdown",
	  .combine = RF_ANY,
	  .readings = { { rf_read_flag, "pti", RF_IS, 1, .absent = RF_ABSENT_WEAK },
			{ rf_read_bug, "cpu_meltdown", RF_IS, 0, .absent = RF_ABSENT_UNKNOWN } } },
	/* kernel/cpu.c enum cpu_mitigations */
	{ "mitigations", "not off", "CONFIG_CPU_MITIGATIONS; boot: mitigations=auto,nosmt",
	  "one word at boot leaves all of the processor's known weaknesses open",
	  .readings = { { rf_read_number, "cpu_mitigations", RF_IS_NOT,
			  .enumerator = "CPU_MITIGATIONS_OFF", .absent = RF_ABSENT_UNKNOWN,
			  .words = mitigations } } },
	{ "vulnerabilities", "none is left open", "boot: mitigations=auto; microcode",
	  "a program reads other memory by way of the processor", .reads = 1u << 16,
	  .readings = { { rf_read_vulnerabilities, "vulnerabilities", RF_IS, 0,
			  .absent = RF_ABSENT_UNKNOWN } } },
	/* arch/x86/kernel/alternative.c cfi_mode; before 6.2 kernel/cfi.c alone had it. */
	{ "cfi", "kCFI or FineIBT", "CONFIG_CFI or CONFIG_CFI_CLANG; boot: cfi=kcfi",
	  "else an overwritten function pointer leads to any code of the kernel's",
	  .readings = { { rf_read_number, "cfi_mode", RF_AT_LEAST, .enumerator = "CFI_KCFI",
			  .absent = RF_ABSENT_PASS, .words = cfi_modes },
			{ rf_read_function, "report_cfi_failure", RF_IS, .value = 1 } } },
	/* arch/x86/kernel/ibt_selftest.S and cpu/common.c setup_cet(), which clears the flag where
	 * it does not work. */
	{ "ibt", "on", "CONFIG_X86_KERNEL_IBT, a processor with IBT; boot: no ibt=off",
	  "else an overwritten pointer leads into the middle of a function", .combine = RF_ALL,
	  .readings = { { rf_read_function, "ibt_selftest", RF_IS, .value = 1 }, FLAG("ibt") } },
	{ "user-shadow-stack", "on", "CONFIG_X86_USER_SHADOW_STACK, a processor with it",
	  "programs cannot ask for a second copy of their return addresses",
	  .readings = { { rf_read_flag, "user_shstk", RF_IS, 1, .absent = RF_ABSENT_WEAK } } },
	/* security/lockdown/lockdown.c kernel_locked_down */
	{ "lockdown", "confidentiality",
	  "CONFIG_LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY; boot: lockdown=confidentiality",
	  "without it root reads and changes the kernel by its own interfaces",
	  .readings = { { rf_read_lockdown, "kernel_locked_down", RF_AT_LEAST,
			  .enumerator = "LOCKDOWN_CONFIDENTIALITY_MAX",
			  .words = lockdown_levels } } },
	/* kernel/module/signing.c module_sig_check(): either of them forbids others. */
	{ "module-signatures", "enforced", "CONFIG_MODULE_SIG_FORCE; boot: module.sig_enforce=1",
	  "else root loads any code into the kernel", .combine = RF_ANY,
	  .readings = { { rf_read_number, "sig_enforce", RF_IS, 1, .size = 1, .words = enforced },
			RF_BY_LOCKDOWN("LOCKDOWN_MODULE_SIGNATURE") } },
	/* kernel/module/main.c; without CONFIG_MODULES none can be loaded either. */
	{ "modules-disabled", "yes, once the system has started",
	  "sysctl kernel.modules_disabled = 1",
	  "what is not loaded yet cannot be loaded by an intruder either",
	  .readings = { { rf_read_number, "modules_disabled", RF_IS, 1, .absent = RF_ABSENT_GOOD,
			  .also = "load_module|print_modules", .words = yes_no } } },
	/* kernel/kexec_core.c; without CONFIG_KEXEC_CORE there is no such variable. */
	{ "kexec-disabled", "yes", "sysctl kernel.kexec_load_disabled = 1",
	  "else root starts another kernel in this one's place",
	  .readings = { { rf_read_number, "kexec_load_disabled", RF_IS, 1, .absent = RF_ABSENT_GOOD,
			  .also = "kernel_kexec|machine_kexec", .words = yes_no } } },
	/* kernel/power/hibernate.c hibernation_available(): either of them forbids it. What else
	 * does, secret memory and CXL memory, comes and goes. */
	{ "hibernation", "off", "CONFIG_HIBERNATION not set; boot: nohibernate, lockdown=integrity",
	  "what is written to disk and read back replaces the running kernel", .combine = RF_ANY,
	  .readings = { { rf_read_number, "nohibernate", RF_IS_NOT, 0, .absent = RF_ABSENT_GOOD,
			  .also = "hibernate|hibernation_snapshot", .words = rf_posture_off_on },
			RF_BY_LOCKDOWN("LOCKDOWN_HIBERNATION") } },
	{ 0 },
};
