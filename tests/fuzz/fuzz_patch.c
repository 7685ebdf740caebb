// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Hostile patch tables, then stores, through the fence's own hv/text.c. Input, as far as it goes
 * (what is missing reads as zero):
 *
 *   counts of shapes, sites, extra sites    a byte each; 0xf0.. stands for a raw 32-bit number
 *   shapes   len, flags, count, forms of 12 raw bytes
 *   sets 1, 2   first, count as above; then 16 targets of 2 bytes, relative to text, with others
 *            behind them
 *   sites    at (2), shape, kind, flags, target (2, relative) or own bytes (6), the form it holds
 *   stores, until the input ends: see play(); 0xff moves the guest's word that it patches, 0xfe
 *            loads text, and from 0x80 on a vCPU has run before
 *
 * Whatever the table says: no verdict reads or writes out of bounds, a store lands within its site
 * or not at all, what is called done is a form of the site, and what is on the way has an int3 in
 * front. Where the table is in order, too: a site is at rest or starts with int3 and is known to be
 * in flight, and no two sites have a tail that belongs to no form.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hv/text.h"
#include "tests/unit/fake_vcpus.h"

#define TEXT_GPA UINT64_C(0x1000000)
#define TEXT_GVA UINT64_C(0xffffffff81000000)
#define TEXT_SIZE 0x1000u
#define RAM_GPA (TEXT_GPA - 0x1000) /* holds text, too */
#define RAM_SIZE 0x3000u
#define MAX_SITES 12u /* that the input describes */

#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			abort();                                                                   \
	} while (0)

static struct rf_board_file file;
static struct rf_trail *const trail = &file.trail;
static struct rf_patch_table *table;
static struct rf_vcpu vcpu;
static uint8_t text[TEXT_SIZE], ram[RAM_SIZE], *const decoy = ram + (TEXT_GPA - RAM_GPA);
static uint64_t dirty[1];

static const uint8_t *data;
static size_t size;
static uint64_t entered, changed; /* entries into the guest; how many at the last change of text */
static bool orderly;		  /* the table is what a sane monitor writes, and text is at rest */

void rf_fatal(const char *why)
{
	abort();
}

/* --- input ------------------------------------------------------------------ */

static void take(void *out, size_t want)
{
	size_t n = want < size ? want : size;

	memset(out, 0, want);
	memcpy(out, data, n);
	data += n;
	size -= n;
}

static uint8_t u8(void)
{
	uint8_t v;

	take(&v, 1);
	return v;
}

static uint16_t u16(void)
{
	uint16_t v;

	take(&v, 2);
	return v;
}

static uint32_t number(uint32_t limit)
{
	uint32_t v = u8();

	if (v < 0xf0)
		return v % (limit + 1);
	take(&v, 4);
	return v;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* --- the table ---------------------------------------------------------------- */

static void read_shape(struct rf_shape *s)
{
	*s = (struct rf_shape){ .len = u8(), .flags = u8(), .count = u8() };
	for (uint8_t i = 0; i < s->count && i < RF_SHAPE_FORMS; i++)
		take(&s->forms[i], sizeof(s->forms[i]));
}

/* What a form says, spelled without judge.c's help. False: it says nothing. */
static bool spelled(const struct rf_patch_site *s, const struct rf_shape *shape, uint8_t form,
		    uint8_t *out)
{
	const struct rf_form *f = &shape->forms[form];
	uint64_t target = s->target;
	uint32_t rel;
	size_t wide;

	if (form >= shape->count)
		return false;
	if (f->how == RF_FORM_REL32 && f->set) {
		if (f->set >= RF_TABLE_SETS || table->sets[f->set].first >= RF_TABLE_TARGETS)
			return false;
		target = table->targets[table->sets[f->set].first];
	}
	rel = (uint32_t)(target - (TEXT_GVA + s->at + shape->len));
	switch (f->how) {
	case RF_FORM_BYTES:
		memcpy(out, f->bytes, shape->len);
		return true;
	case RF_FORM_OWN:
	case RF_FORM_OWN_INT3:
		if (shape->len > sizeof(s->own))
			return false;
		memcpy(out, s->own, shape->len);
		if (f->how == RF_FORM_OWN_INT3)
			out[0] = RF_INT3;
		return true;
	case RF_FORM_REL8:
	case RF_FORM_REL32:
		wide = f->how == RF_FORM_REL8 ? 1 : 4;
		if (f->op_len + wide > shape->len)
			return false;
		memcpy(out, f->bytes, shape->len);
		memcpy(out + f->op_len, &rel, wide);
		return true;
	}
	return false;
}

static void read_site(struct rf_patch_site *s, uint32_t shapes)
{
	const struct rf_shape *shape;
	uint8_t bytes[RF_SITE_MAX_LEN];

	*s = (struct rf_patch_site){
		.at = u16(), .shape = u8(), .kind = u8(), .flags = u8() & RF_SITE_FROZEN
	};
	if (s->at & 0x8000)
		s->at |= 0xffff0000;
	shape = s->shape < shapes ? &table->shapes[s->shape] : NULL;
	if (shape && shape->count && shape->count <= RF_SHAPE_FORMS &&
	    shape->forms[0].how >= RF_FORM_OWN && shape->forms[0].how <= RF_FORM_OWN_INT3)
		take(s->own, sizeof(s->own));
	else
		s->target = TEXT_GVA + u16();
	if (shape && shape->len >= 1 && shape->len <= RF_SITE_MAX_LEN &&
	    spelled(s, shape, u8() % RF_SHAPE_FORMS, bytes) && s->at < TEXT_SIZE &&
	    shape->len <= TEXT_SIZE - s->at)
		memcpy(text + s->at, bytes, shape->len);
}

static bool in_order(const struct rf_patch_site *s, uint32_t count, uint32_t shapes)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct rf_shape *shape = &table->shapes[s[i].shape % RF_TABLE_SHAPES];

		if (s[i].shape >= shapes || shape->len < 1 || shape->len > RF_SITE_MAX_LEN ||
		    shape->count > RF_SHAPE_FORMS || s[i].at >= TEXT_SIZE ||
		    shape->len > TEXT_SIZE - s[i].at || !s[i].kind || s[i].kind >= RF_SITE_KINDS ||
		    !rf_patch_at_rest(table, &s[i], shape, text + s[i].at))
			return false;
		if (i && (s[i].at <= s[i - 1].at ||
			  s[i].at - s[i - 1].at < table->shapes[s[i - 1].shape].len))
			return false;
	}
	return true;
}

static bool apart(const struct rf_patch_site *a, const struct rf_patch_site *b)
{
	return a->at >= b->at + table->shapes[b->shape].len ||
	       b->at >= a->at + table->shapes[a->shape].len;
}

static bool table_in_order(void)
{
	uint32_t sites = table->sites_count, extra = table->extra_count;
	uint32_t shapes = table->shapes_count;

	if (sites > MAX_SITES || extra > MAX_SITES || shapes > 4 ||
	    !in_order(table->sites, sites, shapes) || !in_order(table->extra, extra, shapes))
		return false;
	for (uint32_t i = 0; i < extra; i++)
		for (uint32_t n = 0; n < sites; n++)
			if (!apart(&table->extra[i], &table->sites[n]))
				return false;
	return true;
}

static void read_table(void)
{
	uint32_t shapes, sites, extra;

	memset(table->shapes, 0, sizeof(table->shapes));
	memset(table->sets, 0, sizeof(table->sets));
	memset(table->sites, 0, MAX_SITES * sizeof(table->sites[0]));
	memset(table->extra, 0, MAX_SITES * sizeof(table->extra[0]));
	table->shapes_count = number(4);
	table->sites_count = number(MAX_SITES);
	table->extra_count = number(MAX_SITES);
	shapes = least(table->shapes_count, 4);
	sites = least(table->sites_count, MAX_SITES);
	extra = least(table->extra_count, MAX_SITES);
	for (uint32_t i = 0; i < shapes; i++)
		read_shape(&table->shapes[i]);
	for (int i = 1; i < 3; i++) {
		table->sets[i].first = number(16);
		table->sets[i].count = number(100);
	}
	for (int i = 0; i < 16; i++)
		table->targets[i] = TEXT_GVA + u16();
	for (uint32_t i = 0; i < sites; i++)
		read_site(&table->sites[i], shapes);
	for (uint32_t i = 0; i < extra; i++)
		read_site(&table->extra[i], shapes);
	table->seq = table->seq + 2;
}

/* --- what must hold ------------------------------------------------------------- */

static int read_text(void *ctx, uint32_t at, uint8_t *buf, uint32_t len)
{
	if (at > TEXT_SIZE || len > TEXT_SIZE - at)
		return -EFAULT;
	memcpy(buf, text + at, len);
	return 0;
}

static bool found(uint32_t at, uint32_t len, struct rf_patch_site *site, struct rf_shape *shape)
{
	for (uint32_t i = 0; i < len; i++)
		if (rf_patch_find(table, at + i, site, shape))
			return true;
	return false;
}

/* The same, by looking at each site. */
static bool any_holds(const struct rf_patch_site *s, uint32_t count, uint32_t at, uint32_t len)
{
	for (uint32_t i = 0; i < count; i++)
		if (at < s[i].at + table->shapes[s[i].shape].len && s[i].at < at + len)
			return true;
	return false;
}

static void check_verdict(const struct rf_patch_result *r, uint32_t at, const uint8_t *bytes,
			  uint32_t len)
{
	struct rf_patch_site site;
	struct rf_shape shape;
	bool is_site = found(at, len, &site, &shape);

	MUST(r->why && r->verdict >= RF_PATCH_STEP && r->verdict <= RF_PATCH_BAD_INSN);
	MUST(is_site == (r->verdict != RF_PATCH_NOT_A_SITE));
	if (orderly)
		MUST(is_site == (any_holds(table->sites, table->sites_count, at, len) ||
				 any_holds(table->extra, table->extra_count, at, len)));
	if (!is_site)
		return;
	MUST(r->kind > 0 && r->kind < RF_SITE_KINDS);
	MUST(r->at == site.at && r->len == shape.len && r->len <= RF_SITE_MAX_LEN);
	MUST(!memcmp(r->now, text + r->at, r->len));
	if (r->verdict > RF_PATCH_DONE)
		return;
	MUST(at == r->at + r->offset && len <= (uint32_t)r->len - r->offset);
	for (uint32_t i = 0; i < r->len; i++)
		MUST(r->next[i] ==
		     (i >= r->offset && i < r->offset + len ? bytes[i - r->offset] : r->now[i]));
	if (r->verdict == RF_PATCH_DONE)
		MUST(rf_patch_at_rest(table, &site, &shape, r->next));
	else
		MUST(r->next[0] == RF_INT3 || shape.flags & RF_SHAPE_FILLED);
}

/* Behind int3: bytes that no form of the site has there? */
static bool torn(const struct rf_patch_site *s, const struct rf_shape *shape)
{
	uint8_t insn[RF_SITE_MAX_LEN];

	if (text[s->at] != RF_INT3)
		return false;
	memcpy(insn, text + s->at, shape->len);
	for (unsigned int first = 0; first < 256; first++) {
		insn[0] = (uint8_t)first;
		if (rf_patch_at_rest(table, s, shape, insn))
			return false;
	}
	return true;
}

static bool in_flight(uint32_t at)
{
	for (uint32_t i = 0; i < trail->flights_count; i++)
		if (trail->flights[i].at == at)
			return true;
	return false;
}

static unsigned int check_sites(const struct rf_patch_site *s, uint32_t count)
{
	unsigned int half = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct rf_shape *shape = &table->shapes[s[i].shape];
		bool rests = rf_patch_at_rest(table, &s[i], shape, text + s[i].at);

		MUST(rests || ((text[s[i].at] == RF_INT3 || shape->flags & RF_SHAPE_FILLED) &&
			       in_flight(s[i].at)));
		half += torn(&s[i], shape);
	}
	return half;
}

static void check_state(void)
{
	MUST(!memcmp(text, decoy, TEXT_SIZE));
	MUST(trail->flights_count <= RF_FLIGHTS);
	if (!orderly)
		return;
	MUST(trail->flights_count <= table->sites_count + table->extra_count);
	MUST(check_sites(table->sites, table->sites_count) +
		     check_sites(table->extra, table->extra_count) <=
	     1);
}

/* --- stores ----------------------------------------------------------------------- */

/* Whether the guest says that it patches, as far as the table knows where it says so. */
static bool patcher_is_busy(void)
{
	uint64_t at = table->busy - RAM_GPA;
	bool is_ram = at <= RAM_SIZE - 4 && at % 4 == 0;
	bool is_sealed = table->busy >= TEXT_GPA && table->busy < TEXT_GPA + TEXT_SIZE;

	return !table->busy || (is_ram && !is_sealed && memcmp(ram + at, "\0\0\0\0", 4));
}

static void store(uint32_t at, const uint8_t *bytes, uint32_t len)
{
	const struct rf_patch_text all = { read_text, NULL };
	uint64_t kinds = 0, settled = 0, head = trail->head;
	static uint8_t before[TEXT_SIZE];
	struct rf_patch_result r;
	bool legal, landed;

	legal = !rf_patch_judge(table, &all, trail->last_tail, at, bytes, len, &r);
	if (legal) {
		check_verdict(&r, at, bytes, len);
		legal = r.verdict <= RF_PATCH_DONE && (!rf_patch_begins(&r) || patcher_is_busy());
	}
	memcpy(before, text, TEXT_SIZE);
	for (int k = 0; k < RF_SITE_KINDS; k++)
		kinds += trail->kinds[k];
	landed = rf_text_settle(&vcpu, TEXT_GPA + at, bytes, len, false);
	for (int k = 0; k < RF_SITE_KINDS; k++)
		settled += trail->kinds[k];
	MUST(landed == legal);
	MUST(settled - kinds == trail->head - head && trail->head - head <= landed);
	if (landed) {
		memcpy(before + at, bytes, len);
		changed = entered;
	}
	MUST(!memcmp(before, text, TEXT_SIZE));
	table->taken = trail->head;
}

/* One that a form of a site suggests: what the kernel does, in any order. */
static void step(uint8_t how)
{
	uint32_t number = u8() % (2 * MAX_SITES);
	const struct rf_patch_site *s =
		number < MAX_SITES ? &table->sites[number] : &table->extra[number - MAX_SITES];
	const struct rf_shape *shape;
	uint8_t bytes[RF_SITE_MAX_LEN] = { 0 }, from, len;

	if (s->shape >= 4)
		return;
	shape = &table->shapes[s->shape];
	if (shape->len < 1 || shape->len > RF_SITE_MAX_LEN || s->at > TEXT_SIZE - RF_SITE_MAX_LEN)
		return;
	if (!spelled(s, shape, u8() % RF_SHAPE_FORMS, bytes))
		memcpy(bytes, text + s->at, shape->len);
	switch (how) {
	case 0:
		store(s->at, (const uint8_t[]){ RF_INT3 }, 1);
		break;
	case 1: /* tail, all or a part of it */
	case 2: /* with one byte changed */
		from = u8();
		len = (uint8_t)(from >> 4);
		from = (uint8_t)(1 + (from & 15) % RF_SITE_MAX_LEN);
		if (from >= shape->len)
			return;
		if (how == 2)
			bytes[from] ^= u8();
		len = (uint8_t)(1 + len % (shape->len - from));
		store(s->at + from, bytes + from, len);
		break;
	case 3:
		len = shape->flags & RF_SHAPE_FILLED ? 1 + u8() % shape->len : 1;
		store(s->at, bytes, len);
		break;
	case 4: /* what is there already */
		memcpy(bytes, text + s->at, shape->len);
		from = u8() % shape->len;
		store(s->at + from, bytes + from, shape->len - from);
		break;
	}
}

/* Another place of the guest's word, or another word in it. */
static void say_busy(void)
{
	uint8_t how = u8();

	if (how & 1)
		take(&table->busy, sizeof(table->busy));
	else
		table->busy = RAM_GPA + u16() % (RAM_SIZE + 16);
	if (how & 2)
		table->busy = 0;
	if (table->busy - RAM_GPA < RAM_SIZE && table->busy - TEXT_GPA >= TEXT_SIZE)
		ram[table->busy - RAM_GPA] = u8();
}

/* Not before somebody has run since text changed last; then the old bytes are there. */
static void restore(uint8_t which)
{
	struct rf_flight f = { 0 };
	int err;

	if (trail->flights_count)
		f = trail->flights[which % trail->flights_count];
	err = rf_text_restore(f.number);
	if (!f.number) {
		MUST(err == -ENOENT);
		return;
	}
	MUST(err == (entered == changed ? -EAGAIN : 0));
	if (!err)
		MUST(!memcmp(text + f.at, f.before, f.len));
}

/* The VMM loads text: what the input stores into the decoy, then a state of the same kernel. */
static void load(void)
{
	static uint8_t text_was[TEXT_SIZE], below[TEXT_SIZE];
	uint32_t differ = 0, adopted = 77;
	struct rf_patch_site site;
	struct rf_shape shape;
	bool legal = true;
	int err;

	for (uint8_t n = u8() % 8; n; n--) {
		uint32_t at = u16() % TEXT_SIZE, len = 1 + u8() % 6;
		uint8_t bytes[6];

		take(bytes, len);
		memcpy(decoy + at, bytes, least(len, TEXT_SIZE - at));
	}
	/* And forms of sites, which may be adopted. */
	for (uint8_t n = u8() % 4; n; n--) {
		const struct rf_patch_site *s = &table->sites[u8() % MAX_SITES];
		uint8_t bytes[RF_SITE_MAX_LEN];

		if (s->shape < 4 && table->shapes[s->shape].len <= RF_SITE_MAX_LEN &&
		    s->at <= TEXT_SIZE - RF_SITE_MAX_LEN &&
		    spelled(s, &table->shapes[s->shape], u8() % RF_SHAPE_FORMS, bytes))
			memcpy(decoy + s->at, bytes, table->shapes[s->shape].len);
	}
	memcpy(text_was, text, TEXT_SIZE);
	memcpy(below, decoy, TEXT_SIZE);
	for (uint32_t i = 0; i < TEXT_SIZE; i++) {
		if (text[i] == decoy[i])
			continue;
		differ++;
		legal = legal && rf_patch_find(table, i, &site, &shape) &&
			!(site.flags & RF_SITE_FROZEN) && site.at <= TEXT_SIZE &&
			shape.len <= TEXT_SIZE - site.at &&
			rf_patch_at_rest(table, &site, &shape, decoy + site.at);
	}
	/* What is half way here must have come to rest there: nobody would put it back. */
	for (uint32_t n = 0; n < rf_board_trail()->flights_count; n++)
		legal = legal &&
			rf_patch_find(table, rf_board_trail()->flights[n].at, &site, &shape) &&
			site.at <= TEXT_SIZE && shape.len <= TEXT_SIZE - site.at &&
			rf_patch_at_rest(table, &site, &shape, decoy + site.at);
	err = rf_text_adopt(&adopted);
	MUST(err == (legal ? 0 : -EPERM));
	MUST(adopted == (legal ? differ : 0));
	MUST(!memcmp(decoy, below, TEXT_SIZE));
	MUST(!memcmp(text, legal ? below : text_was, TEXT_SIZE));
	if (legal)
		orderly = orderly && table_in_order(); /* half way as it was loaded: nobody's */
	else
		memcpy(decoy, text, TEXT_SIZE); /* as no vCPU runs then: load something else */
}

static void play(void)
{
	uint8_t bytes[8];
	uint32_t at, len;

	while (size) {
		uint8_t what = u8();

		if (what == 0xff) {
			say_busy();
			continue;
		}
		if (what == 0xfe) {
			load();
			check_state();
			continue;
		}
		if (what & 0x80) /* a vCPU has run */
			rf_board->counters[RF_COUNT_RUN] = ++entered;
		switch (what % 9) {
		case 0:
		case 1:
		case 2:
		case 3:
		case 4:
			step(what % 9);
			break;
		case 5: /* any */
			at = u16();
			len = 1 + u8() % 8;
			take(bytes, len);
			store(at, bytes, len);
			break;
		case 6:
			at = u16() % TEXT_SIZE;
			rf_text_denied(TEXT_GPA + at, 1 + u8() % 8);
			break;
		case 7:
			restore(u8());
			break;
		case 8: /* a monitor gone wild */
			orderly = false;
			at = u16() % (sizeof(table->shapes) + sizeof(table->sets));
			((uint8_t *)table->shapes)[at] = u8();
			break;
		}
		check_state();
	}
}

static void set_up(void)
{
	int fd = memfd_create("table", MFD_ALLOW_SEALING);

	MUST(fd >= 0 && !ftruncate(fd, sizeof(*table)) && !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
	table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	MUST(table != MAP_FAILED);
	table->magic = RF_TABLE_MAGIC;
	table->revision = RF_TABLE_REVISION;
	table->kernel = 7;
	table->base = TEXT_GVA;
	table->size = TEXT_SIZE;
	/* Sets that are not searched whole need more members than an input has. */
	for (uint32_t i = 16; i < 256; i++)
		table->targets[i] = TEXT_GVA + 0x10000 + 16 * i;
	MUST(!rf_text_use(fd));
	close(fd);
	rf_board = &file.board;
	rf_board->kernel = 7;
	rf_guestmem.nr_slots = 1;
	rf_guestmem.slots[0] = (struct rf_slot){
		.used = true, .gpa = RAM_GPA, .size = RAM_SIZE, .hva = (uint64_t)(uintptr_t)ram
	};
	rf_guestmem.nr_overlays = 1;
	rf_guestmem.overlays[0] = (struct rf_overlay){ .kind = RF_OVERLAY_SEAL,
						       .gpa = { TEXT_GPA, TEXT_SIZE },
						       .gva = TEXT_GVA,
						       .region = RF_REGION_TEXT,
						       .copy = text,
						       .dirty = dirty };
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	if (!table)
		set_up();
	data = input;
	size = length;
	memset(text, 0x90, TEXT_SIZE);
	memset(ram, 0, RAM_SIZE);
	table->busy = 0;
	rf_text_reset();
	read_table();
	memcpy(decoy, text, TEXT_SIZE);
	orderly = table_in_order();
	play();
	return 0;
}
