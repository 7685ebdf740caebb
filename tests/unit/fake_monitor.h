/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What surrounds the monitor's own code in its tests: a fence that behaves as hv/seal.c and
 * hv/enforce.c do towards a monitor, a kernel of a few symbols, page tables that are a list, and a
 * log in a file. It stands in for all of introspection/ and for monitor/main.c; policy/ is the
 * real one.
 */
#ifndef RF_TESTS_FAKE_MONITOR_H
#define RF_TESTS_FAKE_MONITOR_H

#include <jansson.h>

#include "monitor/monitor.h"
#include "introspection/checks/check.h"
#include "introspection/patches/hooks.h"
#include "introspection/task.h"

/* The image. Neither text nor rodata ends on a page; text is more than two blocks of a sweep. */
#define IMAGE_GPA UINT64_C(0x1000000)
#define IMAGE_GVA UINT64_C(0xffffffff81000000)
#define IMAGE_SIZE UINT64_C(0x80000)
#define TEXT_AT UINT64_C(0)
#define TEXT_END (TEXT_AT + 0x28000 - 0x123)
#define STARTUP_AT (TEXT_END - 0x40) /* where CPUs come up */
#define VC_AT (STARTUP_AT - 0x20)    /* what an IDT may have for #VC */
#define TEXT_SIZE UINT64_C(0x28000)
#define RODATA_AT UINT64_C(0x40000)
#define RODATA_END (RODATA_AT + 0x3000 - 8)
#define RODATA_SIZE UINT64_C(0x3000)
#define STATE_AT UINT64_C(0x60010)
#define PERF_KEY_AT UINT64_C(0x68000) /* a static call's */
#define IDT_AT UINT64_C(0x70000)
#define BRINGUP_AT UINT64_C(0x71000)
#define GDT_AT UINT64_C(0x72000) /* of CPU 0; that of CPU 1 a page behind */
#define TSS_GVA UINT64_C(0xfffffe0000003000)
#define GDT_RO_GVA UINT64_C(0xfffffe0000001000)
/* What the guest's kallsyms say of commit_creds, where a test has any there. */
#define SYMBOL_AT (RODATA_AT + 0x800)
/* An entry of the system call table. */
#define TABLE (IMAGE_GPA + RODATA_AT + 0x108)
#define TABLE_GVA (IMAGE_GVA + RODATA_AT + 0x108)
#define LSTAR (IMAGE_GVA + 0x1080)
#define SUSPEND 7
#define RUNNING 3 /* the fake kernel's SYSTEM_RUNNING */
#define CR3 UINT64_C(0x2000800)

/* Memory of nobody's seal, and where the guest maps it. */
#define OTHER_GPA (IMAGE_GPA + IMAGE_SIZE)
#define OTHER_GVA UINT64_C(0xffff888001080000)
#define RAM_SIZE (IMAGE_SIZE + 0x10000)

#define LOG_MAX 32

struct fake {
	/* The fence. info is what the board says. */
	struct rf_backend hv;
	struct rf_backend_info info;
	uint64_t posted;			/* id of the last KERNEL event: commands name it */
	uint8_t ram[RAM_SIZE], decoy[RAM_SIZE]; /* from IMAGE_GPA on */
	bool state_runs;			/* the watched word has its value already */
	int info_err, read_err, watch_err, seal_err, verdict_err; /* injected */
	void (*on_decoy)(void); /* called before the decoy is read */
	int pin_err;
	unsigned int watches, seals, pins, verdicts, decoy_reads;
	struct rf_msg_pin pin;
	struct rf_msg_watch watch;
	struct rf_msg_seal seal;
	struct rf_msg_verdict verdict[LOG_MAX]; /* the last ones: index % LOG_MAX */

	/* The kernel. */
	int discover_err, image_err, textpatch_err;
	bool has_symbol;     /* SYMBOL_AT holds where commit_creds is */
	uint64_t patched_by; /* that, of the kernel that site tables were last read of */
	bool no_types;
	const char *banner;	  /* NULL: its usual one */
	uint64_t site;		  /* five bytes of text that it patches, 0 none */
	const char *without;	  /* a symbol that is missing */
	const char *moved;	  /* one that lies somewhere else */
	uint64_t moved_by;	  /* so far; 0: a page */
	uint64_t unreadable;	  /* a place that cannot be read, 0 none */
	struct rf_image believed; /* where discovery was last told to read tables */
	unsigned int discovered, by_image, kernels, tables; /* the last two: alive */
	rf_gva inside;					    /* as discovery was last told */
	struct rf_paging paging;			    /* the same */
	bool task;
	const char *module; /* what the only one is called; NULL: "evil" */

	/* Page tables: the first run that holds an address speaks. */
	struct rf_mapping maps[8];
	unsigned int maps_count;
	int walk_err;

	/* What rf_store_find() and rf_textpatch_judge() answer. */
	int store_err, judge_err, refresh_err;
	struct rf_store store;
	struct rf_store_seen seen; /* its question */
	bool store_endless;	   /* whoever looks for one reads on until a read fails */
	struct rf_patch_result patch;
	enum rf_patch_verdict after_refresh; /* 0: as before */
	unsigned int judged, refreshed;
	rf_gva judged_at;
	uint32_t judged_last_tail, torn;

	/* Text patching: the fence's trail. */
	struct rf_patch_table table;
	struct rf_patching patching;
	bool patches_on;		     /* the guest patches all the time */
	struct rf_patch_entry entries[1200]; /* entry n in slot n */
	int restore_err, ram_err;
	struct rf_patch_site armed[16]; /* what rf_textpatch_create() finds so */
	uint32_t armed_count;
	struct rf_textpatch_stats stats;
	bool nothing_kept; /* no earlier monitor has left a table that is whole */
	bool table_kept;   /* so rf_textpatch_create() was told last */
	unsigned int restored, patch_sweeps;
	bool endless;	       /* whoever walks the guest's lists reads on until a read fails */
	uint64_t endless_read; /* so often, the last time */
	struct rf_msg_restore restore;

	/* What calls out of sealed text, as rf_hooks_walk() sees it. */
	struct rf_hook hooks[1100];
	uint32_t hooks_count;
	int hooks_err;	       /* of a list that cannot be read: the hooks are seen all the same */
	const char *bpf;       /* whose all code outside is, NULL nobody's */
	int bpf_err;	       /* of that list */
	uint32_t hooks_hidden; /* a bit each kind that the kernel does not show */
	unsigned int hook_tables, hooks_looked; /* the first: alive */

	/* What rf_checks_run() finds: of the first check, the other finds nothing. */
	struct rf_check_finding findings[8];
	uint32_t findings_count;
	enum rf_check_state check_state; /* of the first; 0: as its findings are */
	bool check_cut; /* of the first: not all of it was looked at, whatever was found */
	unsigned int checks_alive, checks_runs[3];
	const char *checks_known; /* the first of those that were named; NULL none was */

	/* The pair: what a look at the guest's lists finds gone, and what was forgotten of it. */
	uint32_t gone, forgotten_of;
	size_t forgotten;
	uint64_t forgotten_last;
	unsigned int copies, follows, views, confined;

	/* Descriptor tables: the symbol idt_table, and instructions that load them. */
	bool has_tables;
	struct {
		uint64_t gva;
		bool hidden; /* inside of another one */
	} insns[8];
	unsigned int insns_count;
	uint64_t gdt_at; /* another place for it than GDT_AT, 0 none */
	unsigned int traps;
	int traps_err, mend_err;
	unsigned int mends;
	struct rf_msg_traps trapped;
	bool kept;		      /* the fence has what was sealed before the reset */
	uint8_t kept_ram[RAM_SIZE];   /* that, where it lay */
	struct rf_msg_seal kept_seal; /* its regions */
	uint64_t posted_lstar;	      /* the entry that the last KERNEL event announced */
	struct rf_msg_heal heal;
	struct rf_heal heals[RF_HEALS]; /* entry n in slot n % RF_HEALS */
	uint64_t heals_head;
	bool heals_on;		  /* devices write all the time: there is always one more */
	unsigned int heals_asked; /* with a place to heal */
	int heal_err;
	uint64_t kexec;	 /* where machine_kexec() begins, 0 nobody knows */
	uint64_t copied; /* the same of relocate_kernel() */
	uint32_t frozen; /* kinds, as the table was asked for */
	uint64_t poker;	 /* where the kernel's patcher makes room on its stack; 0: nobody knows */

	int log_fd, saved_fd, notify[2];
	char log_path[32], patches_path[36];
};

extern struct fake fake;
extern struct rf_guest guest; /* under test */

/* cmocka fixtures: a booting guest, a monitor attached to it with the default policy. */
int fake_setup(void **state);
int fake_teardown(void **state);
/* The monitor dies; another one attaches to the same fence. Its log is the same file. */
void fake_new_monitor(void);
/* From here on the log cannot be written; and can again. */
void fake_log_full(void);
void fake_log_room(void);

/* Adds a run to the page tables, in front of the others. */
void fake_map(uint64_t gva, uint64_t gpa, uint64_t size, bool writable, bool executable);
/* As after mark_rodata_ro(). */
void fake_map_kernel(void);

/* Events as the fence posts them; each has the next id. */
struct rf_msg_event fake_event(enum rf_event_kind kind);
struct rf_msg_event fake_kernel_event(uint64_t lstar);
struct rf_msg_event fake_write_event(uint64_t gpa, const void *bytes, uint32_t len);
/* Hands it to the monitor; the verdict that was sent for it, 0 none. The fence then acts on it. */
uint32_t fake_judge(const struct rf_msg_event *ev);
/* The VM was reset: what was sealed is kept, with the note of its watch. */
void fake_reset(void);
/* A kernel found, watched and sealed. Ends the test when it is not. */
void fake_sealed(void);
const struct rf_msg_verdict *fake_verdict(void); /* the last one */
/* The same as fake_judge(), and all that was answered; ends the test where nothing was. */
struct rf_msg_verdict fake_answer(const struct rf_msg_event *ev);
/* What a store is found to be from here on: one to TABLE, with 0x33 in rbx before it. */
void fake_table_store(void);
/* A fixture, where folding is tested: memory of counts that outlives a monitor, a sealed guest, and
 * stores to TABLE. */
int fake_folding(void **state);
extern struct rf_fold fake_fold;

/* --- the log: each line is checked to be JSON when it is read --- */
size_t fake_lines(void);
/* The nth from the end, 0 the last. Borrowed until the next call. */
json_t *fake_line(size_t from_end);
const char *fake_text(json_t *line, const char *member); /* "" when it is not there */
/* Lines whose member is this text. */
size_t fake_count(const char *member, const char *text);
/* What the monitor has told who started it since the last call. */
const char *fake_notified(void);

#endif
