// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/fake_text.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

static struct rf_board_file *file;
struct rf_trail *trail;
struct rf_patch_table *table;
struct rf_vcpu vcpu;
uint8_t text[TEXT_SIZE], decoy[TEXT_SIZE];
uint64_t dirty[1];
struct rf_overlay *const overlay = &rf_guestmem.overlays[0];
int table_fd = -1;

const uint8_t nop5[5] = { 0x0f, 0x1f, 0x44, 0, 0 }, jmp[5] = { 0xe9, 0x4b, 0, 0, 0 };

void rf_fatal(const char *why)
{
	fail_msg("%s", why);
	abort();
}

int make_table(size_t size, int seals)
{
	int fd = memfd_create("table", MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

struct rf_patch_site *add_site(uint32_t at, uint16_t shape, enum rf_site_kind kind)
{
	struct rf_patch_site *s = &table->sites[table->sites_count++];

	*s = (struct rf_patch_site){ .at = at, .shape = shape, .kind = (uint8_t)kind };
	s->target = TEXT_GVA + at + 0x50;
	return s;
}

int fake_text_setup(void **state)
{
	file = calloc(1, sizeof(*file));
	trail = &file->trail;
	rf_board = &file->board;
	rf_board->kernel = 7;
	rf_text_reset();
	rf_guestmem_stand_ins(NULL, 0);
	memset(text, 0x90, sizeof(text));
	memset(dirty, 0, sizeof(dirty));
	memcpy(text + SITE, nop5, 5);
	memcpy(text + OTHER, nop5, 5);
	text[LOCK] = 0x3e;
	memcpy(decoy, text, sizeof(text));
	rf_guestmem.nr_slots = 1;
	rf_guestmem.slots[0] = (struct rf_slot){
		.used = true, .gpa = TEXT_GPA, .size = TEXT_SIZE, .hva = (uint64_t)(uintptr_t)decoy
	};
	rf_guestmem.nr_overlays = 1;
	*overlay = (struct rf_overlay){ .kind = RF_OVERLAY_SEAL,
					.gpa = { TEXT_GPA, TEXT_SIZE },
					.gva = TEXT_GVA,
					.region = RF_REGION_TEXT,
					.copy = text,
					.dirty = dirty };
	vcpu.id = 3;

	table_fd = make_table(sizeof(*table), F_SEAL_SHRINK);
	table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED, table_fd, 0);
	assert_ptr_not_equal(table, MAP_FAILED);
	table->magic = RF_TABLE_MAGIC;
	table->revision = RF_TABLE_REVISION;
	table->kernel = 7;
	table->base = TEXT_GVA;
	table->size = TEXT_SIZE;
	table->shapes_count = 2;
	table->shapes[0] = (struct rf_shape){ .len = 5, .count = 2 };
	table->shapes[0].forms[0] = (struct rf_form){ .how = RF_FORM_BYTES };
	memcpy(table->shapes[0].forms[0].bytes, nop5, 5);
	table->shapes[0].forms[1] =
		(struct rf_form){ .how = RF_FORM_REL32, .op_len = 1, .bytes = { 0xe9 } };
	table->shapes[1] = (struct rf_shape){ .len = 1, .flags = RF_SHAPE_DIRECT, .count = 1 };
	table->shapes[1].forms[0] = (struct rf_form){ .how = RF_FORM_BYTES, .bytes = { 0xf0 } };
	add_site(SITE, 0, RF_SITE_JUMP_LABEL);
	add_site(OTHER, 0, RF_SITE_JUMP_LABEL);
	add_site(LOCK, 1, RF_SITE_SMP_LOCK);
	assert_int_equal(rf_text_use(table_fd), 0);
	return 0;
}

int fake_text_teardown(void **state)
{
	munmap(table, sizeof(*table));
	close(table_fd);
	free(file);
	return 0;
}

bool store(uint32_t at, const void *bytes, uint32_t len)
{
	return rf_text_settle(&vcpu, TEXT_GPA + at, bytes, len, false);
}

bool byte(uint32_t at, uint8_t b)
{
	return store(at, &b, 1);
}
