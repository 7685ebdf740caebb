// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A board that says anything, as monitor and sweeper read it: hv/view.c over a board file, and what
 * the monitor does with what is taken. Nothing of it may be read past its end, and what is taken
 * must be within its bounds.
 *
 * Input, again and again: a byte that says what is changed, and that. 0 to 3: the board, its
 * trail's head, its heals' head, its counters: two bytes of place, one of length, the bytes. 4: a
 * trail entry, 5: a flight, 6: a heal, each with a byte of place. 7: a look, from where the next
 * eight bytes say.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hv/check.h"
#include "hv/span.h"
#include "hv/view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rf_board_file *file;
static struct rf_view view;

/* Each input begins with a sealed guest, so that a byte or two lead somewhere. */
static void begin(void)
{
	struct rf_board *b = &file->board;

	memset(b, 0, sizeof(*b));
	memset(&file->trail, 0, offsetof(struct rf_trail, entries));
	memset(&file->heals, 0, sizeof(file->heals));
	b->magic = RF_BOARD_MAGIC;
	b->revision = RF_PROTO_REVISION;
	b->seq = 2;
	b->state = RF_VM_SEALED;
	b->vcpus = b->runs_count = b->traps_count = 1;
	b->runs[0] = (struct rf_board_run){ 0, 1 << 20, (uint64_t)(uintptr_t)file,
					    (uint64_t)(uintptr_t)file };
	b->image = (struct rf_region){ 0, 1 << 20, UINT64_C(0xffffffff81000000), 0, 0 };
	b->regions_count = 2;
	b->regions[0] =
		(struct rf_region){ 0, 1 << 16, UINT64_C(0xffffffff81000000), RF_REGION_TEXT, 0 };
	b->regions[1] = (struct rf_region){ 1 << 17, 1 << 16, UINT64_C(0xffffffff81020000),
					    RF_REGION_RODATA, 0 };
	b->traps[0] = (struct rf_trap_site){ .gpa = 64, .len = 4, .kind = RF_TRAP_LIDT };
	view.copy_seq = 0;
}

static void open_once(void)
{
	int fd;
	const char *why;

	if (file)
		return;
	fd = memfd_create("board", MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, sizeof(*file)) || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK))
		abort();
	file = mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (file == MAP_FAILED)
		abort();
	begin();
	if (rf_view_open(&view, fd, open("/proc/self/mem", O_RDONLY), &why))
		abort();
}

static void must(bool so)
{
	if (!so)
		abort();
}

/* As monitor/sealed.c, traps.c, decoys.c and trail.c use it. */
static void look_at_info(void)
{
	static struct rf_backend_info info;
	uint64_t sum = 0;

	if (rf_view_info(&view, &info))
		return;
	must(info.state <= RF_VM_HALTED && info.regions_count <= RF_SEAL_MAX);
	for (uint32_t i = 0; i < info.regions_count; i++) {
		const struct rf_region *r = &info.regions[i];

		must(r->kind >= RF_REGION_TEXT && r->kind <= RF_REGION_IDT && r->size);
		must(r->gpa + (r->size - 1) >= r->gpa && r->gva + (r->size - 1) >= r->gva);
		must(!i || r->gpa >= r[-1].gpa + r[-1].size);
		sum += r->size;
	}
	must(sum <= 3 * RF_SAID_IMAGE_MAX);
	for (uint32_t i = 0; i < info.traps_count; i++) {
		uint8_t bytes[sizeof(info.traps[i].bytes)];

		memcpy(bytes, info.traps[i].bytes,
		       info.traps[i].len); /* ASan sees one that is too long */
		must(info.traps[i].reg < 16);
	}
}

/* As monitor/memory.c shows it: apart, and in order. */
static void look_at_ram(void)
{
	static struct rf_ram ram[RF_RAM_MAX];
	int n = rf_view_ram(&view, ram);

	must(n < (int)RF_RAM_MAX);
	for (int i = 0; i < n; i++) {
		must(ram[i].size && ram[i].gpa + (ram[i].size - 1) >= ram[i].gpa);
		must(!i || ram[i].gpa > ram[i - 1].gpa + (ram[i - 1].size - 1));
	}
}

static void look(uint64_t from)
{
	static struct rf_patching now;
	static struct rf_patch_entry entries[8];
	static struct rf_heal heals[8];
	uint8_t buf[96], site[RF_SITE_MAX_LEN];
	size_t n;

	look_at_info();
	look_at_ram();
	rf_view_read(&view, from, buf, sizeof(buf), false);
	rf_view_read(&view, from, buf, sizeof(buf), true);
	rf_view_trail(&view, &now);
	must(now.count <= RF_FLIGHTS && now.head - now.oldest <= RF_TRAIL_ENTRIES);
	for (uint32_t i = 0; i < now.count; i++) {
		memcpy(site, now.flights[i].before, now.flights[i].len);
		must(now.flights[i].kind < RF_SITE_KINDS);
	}
	must(rf_view_entries(&view, from, entries, 8) <= 8);
	n = rf_view_heals(&view, &from, heals, 8);
	must(n <= 8);
	for (size_t i = 0; i < n; i++)
		must(heals[i].len <= RF_PAGE_SIZE);
}

struct input {
	const uint8_t *data;
	size_t size;
};

static uint64_t number(struct input *in, size_t bytes)
{
	uint64_t v = 0;

	if (bytes > in->size)
		bytes = in->size;
	memcpy(&v, in->data, bytes);
	in->data += bytes;
	in->size -= bytes;
	return v;
}

static void change(struct input *in, void *what, size_t size)
{
	size_t at = number(in, 2) % size, len = number(in, 1) % 32;

	if (len > size - at)
		len = size - at;
	if (len > in->size)
		len = in->size;
	memcpy((uint8_t *)what + at, in->data, len);
	in->data += len;
	in->size -= len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	open_once();
	begin();
	while (in.size) {
		struct rf_trail *t = &file->trail;

		switch (number(&in, 1) % 8) {
		case 0:
			change(&in, &file->board, sizeof(file->board));
			/* A copy is made anew; and never is one waited for. */
			file->board.seq = (file->board.seq + 2) & ~UINT32_C(1);
			break;
		case 1:
			t->head = number(&in, 8);
			t->flights_count = (uint32_t)number(&in, 4);
			break;
		case 2:
			file->heals.head = number(&in, 8);
			file->heals.taken = number(&in, 8);
			break;
		case 3:
			change(&in, file->board.counters, sizeof(file->board.counters));
			break;
		case 4:
			change(&in, &t->entries[number(&in, 1)], sizeof(t->entries[0]));
			break;
		case 5:
			change(&in, &t->flights[number(&in, 1)], sizeof(t->flights[0]));
			break;
		case 6:
			change(&in, &file->heals.entries[number(&in, 1)],
			       sizeof(file->heals.entries[0]));
			break;
		case 7:
			look(number(&in, 8));
			break;
		}
	}
	look(0);
	return 0;
}
