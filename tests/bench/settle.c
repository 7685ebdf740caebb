// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * settle KIND N: the fence settles N batches of patches on a table of a real kernel's size: 80,000
 * sites, 60,000 functions, 256 sites a batch as text_poke_bp_batch() has at most, three stores a
 * site. KIND is ftrace (nop -> call -> nop ...) or static_call (call -> other call). bench.py counts
 * the instructions of rf_text_settle() for two values of N; the difference is what a store costs.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hv/text.h"
#include "introspection/patches/impl.h"
#include "introspection/kernel.h"
#include "tests/unit/fake_vcpus.h"

/* Of kinds.c the shapes alone are of use here. */
bool rf_thunk_begun(const struct rf_call_thunk *thunk, uint64_t at, const uint8_t *have)
{
	return false;
}

#define TEXT_GPA UINT64_C(0x1000000)
#define TEXT_GVA UINT64_C(0xffffffff81000000)
#define TEXT_SIZE UINT64_C(0x1000000)
#define SITES 80000u
#define APART 208u
#define FUNCTIONS 60000u
#define CALLERS 3u
#define BATCH 256u

static struct rf_board_file file;
static struct rf_patch_table *table;
static struct rf_vcpu vcpu;
static uint64_t dirty[TEXT_SIZE / RF_PAGE_SIZE / 64];
static const uint8_t nop5[5] = { 0x0f, 0x1f, 0x44, 0, 0 };

void rf_fatal(const char *why)
{
	fprintf(stderr, "settle: %s\n", why);
	abort();
}

/* For the measuring of sites, which shares a file with the shapes and is not done here. */
int rf_kernel_address(const struct rf_kernel *k, const char *name, rf_gva *out)
{
	return -ENOENT;
}

static void must(bool holds, const char *what)
{
	if (!holds)
		rf_fatal(what);
}

static uint64_t site_at(uint32_t i)
{
	return UINT64_C(64) + i * (uint64_t)APART;
}

static void call(uint8_t *out, uint64_t at, uint64_t target)
{
	uint32_t rel = (uint32_t)(target - (TEXT_GVA + at + 5));

	out[0] = 0xe8;
	memcpy(out + 1, &rel, 4);
}

static void make_table(enum rf_site_kind kind)
{
	int fd = memfd_create("table", MFD_ALLOW_SEALING);

	must(fd >= 0 && !ftruncate(fd, sizeof(*table)) && !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK),
	     "no shared memory");
	table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(table != MAP_FAILED, "no shared memory");
	table->magic = RF_TABLE_MAGIC;
	table->revision = RF_TABLE_REVISION;
	table->base = TEXT_GVA;
	table->size = TEXT_SIZE;
	table->kernel = 7;
	rf_textpatch_shapes(table);
	table->sets[RF_SET_FUNCTIONS] = (struct rf_patch_set){ 0, FUNCTIONS };
	for (uint32_t i = 0; i < FUNCTIONS; i++)
		table->targets[i] = TEXT_GVA + i * UINT64_C(272);
	table->sets[RF_SET_FTRACE_CALLERS] = (struct rf_patch_set){ RF_FUNCTIONS_MAX, CALLERS };
	for (uint32_t i = 0; i < CALLERS; i++)
		table->targets[RF_FUNCTIONS_MAX + i] = TEXT_GVA + TEXT_SIZE + i * 4096;
	table->sites_count = SITES;
	for (uint32_t i = 0; i < SITES; i++)
		table->sites[i] = (struct rf_patch_site){
			.at = (uint32_t)site_at(i),
			.shape = kind == RF_SITE_FTRACE ? RF_SHAPE_FTRACE : RF_SHAPE_CALL,
			.kind = (uint8_t)kind,
			.target = RF_NO_TARGET,
		};
	must(!rf_text_use(fd), "the table was refused");
}

static void make_guest(void)
{
	struct rf_overlay *o = &rf_guestmem.overlays[0];
	uint8_t *below = malloc(TEXT_SIZE);

	*o = (struct rf_overlay){ .kind = RF_OVERLAY_SEAL,
				  .gpa = { TEXT_GPA, TEXT_SIZE },
				  .gva = TEXT_GVA,
				  .region = RF_REGION_TEXT,
				  .copy = malloc(TEXT_SIZE),
				  .dirty = dirty };
	must(o->copy && below, "no memory");
	memset(o->copy, 0x90, TEXT_SIZE);
	for (uint32_t i = 0; i < SITES; i++)
		memcpy(o->copy + site_at(i), nop5, 5);
	memcpy(below, o->copy, TEXT_SIZE);
	rf_guestmem.nr_slots = 1;
	rf_guestmem.slots[0] = (struct rf_slot){ .used = true,
						 .gpa = TEXT_GPA,
						 .size = TEXT_SIZE,
						 .hva = (uint64_t)(uintptr_t)below };
	rf_guestmem.nr_overlays = 1;
	rf_board = &file.board;
	rf_board->kernel = 7;
	rf_text_reset();
}

static void store(uint64_t at, const uint8_t *bytes, uint32_t len)
{
	must(rf_text_settle(&vcpu, TEXT_GPA + at, bytes, len, false), "a legal store was not settled");
}

/* Sites first .. first + BATCH, as the kernel does: all first bytes, all tails, all first bytes. */
static void batch(enum rf_site_kind kind, uint32_t first, bool on)
{
	static const uint8_t int3 = RF_INT3;
	static uint8_t insns[BATCH][5];

	for (uint32_t i = 0; i < BATCH; i++) {
		uint64_t at = site_at(first + i);

		memcpy(insns[i], nop5, 5);
		if (on)
			call(insns[i], at,
			     kind == RF_SITE_FTRACE ? table->targets[RF_FUNCTIONS_MAX + 1]
						    : table->targets[(first + i) * 7 % FUNCTIONS]);
		store(at, &int3, 1);
	}
	for (uint32_t i = 0; i < BATCH; i++)
		store(site_at(first + i) + 1, insns[i] + 1, 4);
	for (uint32_t i = 0; i < BATCH; i++)
		store(site_at(first + i), insns[i], 1);
	table->taken = file.trail.head;
}

int main(int argc, char **argv)
{
	enum rf_site_kind kind = RF_SITE_FTRACE;
	long n = argc > 2 ? atol(argv[2]) : 0;

	if (n < 1 || (strcmp(argv[1], "ftrace") && strcmp(argv[1], "static_call")))
		return 2;
	if (!strcmp(argv[1], "static_call"))
		kind = RF_SITE_STATIC_CALL;
	make_table(kind);
	make_guest();
	for (long i = 0; i < n; i++)
		batch(kind, (uint32_t)(i / 2) * BATCH % (SITES - BATCH), !(i % 2));
	must(file.trail.head == (uint64_t)n * BATCH, "not every patch was finished");
	printf("%ld batches, %ld stores\n", n, n * BATCH * 3);
	return 0;
}
