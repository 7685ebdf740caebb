// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Names for the log of allowed patches: whose site it was, and whose code it leads to. An auditor
 * has the log and no guest. They come behind the patches, some each tick: no verdict waits for
 * them, and each address is named once.
 */
#include <sodium.h>
#include <string.h>

#include "monitor/monitor.h"

#define WANTED (1u << 16) /* addresses of one kernel; others stay without a name */
#define PLACES (2 * WANTED)
#define EACH_TICK 256
#define MODULES_EACH_TICK 2 /* these need the guest's list */
#define LIST_READS 2048

/* One VM a process. Offsets from the table's base, none is 0: before text's first byte is no
 * site. */
static uint32_t wanted[WANTED], count, next;
static uint32_t places[PLACES]; /* 1 + index of wanted, by hash; 0 free */
static uint8_t key[crypto_shorthash_KEYBYTES];

/* By a hash that nobody else knows: the guest chooses where it patches. */
static uint32_t place_of(uint32_t at)
{
	uint8_t hash[crypto_shorthash_BYTES];
	uint32_t i;

	if (!count)
		crypto_shorthash_keygen(key);
	crypto_shorthash(hash, (const uint8_t *)&at, sizeof(at), key);
	memcpy(&i, hash, sizeof(i));
	return i % PLACES;
}

static void want(uint32_t at)
{
	uint32_t i = place_of(at);

	while (places[i % PLACES]) {
		if (wanted[places[i % PLACES] - 1] == at)
			return;
		i++;
	}
	if (count == WANTED || !at)
		return;
	wanted[count++] = at;
	places[i % PLACES] = count;
}

void rf_patch_names_want(const struct rf_patch_line *l)
{
	uint32_t to;

	want(l->at);
	/* A jump label's leads to elsewhere in its own function. */
	if (l->kind != RF_SITE_JUMP_LABEL && rf_patch_leads(l, &to))
		want(to);
}

/* False: another tick's. */
static bool name(struct rf_guest *g, uint32_t at, struct rf_named *out, uint32_t *modules)
{
	/* Text's neighbours are within 2 GiB of it, before and behind. */
	uint64_t gva = g->table->base + (uint64_t)(int64_t)(int32_t)at;
	struct rf_budget outer;
	struct rf_module m;

	if (at < g->table->size) {
		rf_name_within(g, &g->paging, gva, out, &m);
		return true;
	}
	if (*modules == MODULES_EACH_TICK)
		return false;
	++*modules;
	outer = rf_part_begin(g, LIST_READS);
	rf_name_within(g, &g->paging, gva, out, &m);
	rf_part_end(g, &outer);
	return true;
}

static bool may_write(const struct rf_guest *g)
{
	return g->patchlog && g->patches && !g->patches_full &&
	       !(g->fold && rf_record_is_long(g, rf_patchlog_size(g->patchlog)));
}

bool rf_patch_names_left(const struct rf_guest *g)
{
	return next < count && may_write(g);
}

void rf_patch_names_write(struct rf_guest *g)
{
	union rf_patch_record records[EACH_TICK + RF_PATCH_NAME_PARTS];
	uint32_t i = next, modules = 0;
	size_t n = 0;

	if (!rf_patch_names_left(g))
		return;
	for (; i < count && n < EACH_TICK; i++) {
		struct rf_named named = { 0 };

		if (!name(g, wanted[i], &named, &modules))
			break;
		if (named.symbol[0])
			n += rf_patchlog_name(records + n, wanted[i], named.symbol, named.offset);
	}
	/* What the disk does not take is tried again. */
	if (n && rf_patchlog_names(g->patchlog, records, n))
		return;
	next = i;
	g->named |= n != 0;
}

void rf_patch_names_forget(void)
{
	count = next = 0;
	memset(places, 0, sizeof(places));
}
