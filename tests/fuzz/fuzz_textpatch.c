// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Hostile site tables, then hostile writes. Input: one byte jump entries, one byte static-call
 * sites, the entries with offsets relative to text (8 bytes each: site, target or flags), then
 * writes of 2 to 10 bytes (offset low, offset high and length, bytes). Text is filled with forms
 * that are legal here and there. What must hold whatever happens: a site outside flight holds a
 * legal instruction as long as only legal writes land, or the beginning of what it is filled with.
 */
#include <stdlib.h>
#include <string.h>

#include "introspection/patches/textpatch.h"
#include "tests/unit/fake_guest.h"

#define TEXT UINT64_C(0xffffffff81000000)
#define RODATA (TEXT + 0x2000)
#define DATA (TEXT + 0x4000)
#define JUMPS (RODATA + 0x100)
#define CALLS (RODATA + 0x1800)
#define TEMPLATE (RODATA + 0x40) /* of what counts calls */
#define COUNTED (TEXT + 0x1200)
#define NOT_YET (TEXT + 0x1240)

static void put32(struct fake_guest *g, uint64_t at, uint64_t to)
{
	int32_t rel = (int32_t)(to - at);

	fake_write(g, at, &rel, 4);
}

static struct rf_patch_table table;

static void count_calls(uint8_t out[9], uint64_t function)
{
	int32_t rel = (int32_t)(DATA - function);

	memcpy(out, "\x65\x48\xc1\x3d\0\0\0\0\5", 9);
	memcpy(out + 4, &rel, 4);
}

static void put_counting(struct fake_guest *g)
{
	uint8_t insn[9];

	count_calls(insn, TEMPLATE + 9);
	fake_write(g, TEMPLATE, insn, 9);
	count_calls(insn, COUNTED);
	fake_write(g, COUNTED - 9, insn, 9);
	memset(insn, 0x90, 9);
	fake_write(g, NOT_YET - 9, insn, 9);
	fake_symbol(g, "skl_call_thunk_template", TEMPLATE, 'd');
	fake_symbol(g, "skl_call_thunk_tail", TEMPLATE + 9, 'd');
	fake_symbol(g, "counted", COUNTED, 't');
	fake_symbol(g, "not_yet", NOT_YET, 't');
}

/* From the front, and then what was there. */
static bool is_begun(const struct rf_patch_site *s, const uint8_t *now)
{
	uint8_t insn[9], i = 0;

	count_calls(insn, TEXT + s->at + 9);
	while (i < 9 && now[i] == insn[i])
		i++;
	while (i < 9 && now[i] == 0x90)
		i++;
	return s->kind == RF_SITE_CALL_THUNK && i == 9;
}

static void check(struct fake_guest *g)
{
	for (uint32_t i = 0; i < table.sites_count; i++) {
		const struct rf_patch_site *s = &table.sites[i];
		const struct rf_shape *shape = &table.shapes[s->shape];
		const uint8_t *now = g->ram + 0x1000 + s->at;

		if (now[0] != RF_INT3 && !rf_patch_at_rest(&table, s, shape, now) &&
		    !is_begun(s, now))
			abort();
		if (i && s->at - s[-1].at < table.shapes[s[-1].shape].len)
			abort();
	}
}

static void play(struct rf_textpatch *t, struct fake_guest *g, const uint8_t *data, size_t size)
{
	uint32_t last_tail = rf_textpatch_torn(t);

	while (size >= 3) {
		uint64_t at = TEXT + (data[0] | (data[1] & 0x1f) << 8);
		size_t len = 1 + (data[1] >> 5);
		struct rf_patch_result r;

		data += 2;
		size -= 2;
		if (len > size)
			return;
		if (rf_textpatch_judge(t, &g->m, last_tail, rf_gva_of(at), data, len, &r) || !r.why)
			abort();
		if (r.verdict <= RF_PATCH_DONE) {
			fake_write(g, at, data, len);
			if (r.verdict == RF_PATCH_STEP && r.offset && r.now[0] == RF_INT3)
				last_tail = r.at;
			check(g);
		}
		data += len;
		size -= len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_guest g;
	struct rf_textpatch *t = NULL;
	struct rf_diag diag;
	unsigned int jumps, calls;

	if (size < 2)
		return 0;
	jumps = data[0] % 64;
	calls = data[1] % 64;
	data += 2;
	size -= 2;
	fake_init(&g);
	fake_map(&g, TEXT, 0x1000, 5);
	g.k.image = (struct rf_image){ rf_gva_of(TEXT), rf_gpa_of(0x1000), 0x5000 };
	fake_symbol(&g, "security_hook_active_x_0", DATA + 8 * 33, 'd');
	fake_symbol(&g, "__SCK__lsm_static_call_x_0", DATA + 0x100 + 0x10, 'D');
	fake_symbol(&g, "_text", TEXT, 'T');
	fake_symbol(&g, "_etext", RODATA, 'T');
	fake_symbol(&g, "__start_rodata", RODATA, 'D');
	fake_symbol(&g, "__end_rodata", DATA, 'D');
	fake_symbol(&g, "__start___jump_table", JUMPS, 'D');
	fake_symbol(&g, "__stop___jump_table", JUMPS + 16 * jumps, 'D');
	fake_symbol(&g, "__start_static_call_sites", CALLS, 'D');
	fake_symbol(&g, "__stop_static_call_sites", CALLS + 8 * calls, 'D');
	fake_symbol(&g, "f", TEXT + 0x1000, 'T');
	fake_symbol(&g, "__SCT__a", TEXT + 0x1100, 'T');
	fake_symbol(&g, "__SCK__a", DATA + 0x100, 'D');
	fake_symbol(&g, "__SCT__b", TEXT + 0x1108, 'T');
	fake_write(&g, TEXT + 0x1100,
		   "\xc3\xcc\xcc\xcc\xcc\x0f\xb9\xcc\xcc\xcc\xcc\xcc\xcc\x0f\xb9\xcc", 16);
	for (uint64_t at = TEXT; at < TEXT + 0x800; at += 16)
		fake_write(&g, at,
			   "\x0f\x1f\x44\x00\x00\x66\x90\xcc\xeb\x06\x2e\x2e\x2e\x31\xc0\xc3", 16);
	for (uint64_t at = TEXT + 0x800; at < TEXT + 0xc00; at += 8) {
		fake_write(&g, at, "\xe9", 1);
		put32(&g, at + 1, TEXT + 0x1000 - 4);
	}
	for (unsigned int i = 0; i < jumps + calls && size >= 8; i++, data += 8, size -= 8) {
		uint64_t at = i < jumps ? JUMPS + 16 * i : CALLS + 8 * (i - jumps);
		uint16_t site, to;
		int64_t key;

		memcpy(&site, data, 2);
		memcpy(&to, data + 2, 2);
		put32(&g, at, TEXT + (site & 0x7fff));
		if (i < jumps) {
			put32(&g, at + 4, TEXT + (to & 0x7fff));
			key = (int64_t)(DATA - (data[5] & 0x30 ? 0 : 0x1000) + 8 * data[4] - at -
					8) |
			      (data[5] & 3);
			fake_write(&g, at + 8, &key, 8);
		} else {
			put32(&g, at + 4, DATA + 0x100 + (to & 0x1b));
		}
	}
	put_counting(&g);
	if (rf_textpatch_create(&g.k, &g.m, &g.p, &table, false, 0, &t, &diag))
		return 0;
	check(&g);
	play(t, &g, data, size);
	rf_textpatch_destroy(t);
	return 0;
}
