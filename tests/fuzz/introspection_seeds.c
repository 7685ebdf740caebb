// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Writes the seeds of the introspection fuzzers into DIR/fuzz_*: make fuzz-seeds, after a change of
 * format.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>

#include "tests/unit/synth.h"

#define IMAGE UINT64_C(0xffffffff92000000)
#define COUNT 300

static void save(const char *dir, const char *name, const void *head, size_t head_len,
		 const void *bytes, size_t len)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "wbe");
	if (!f || (head_len && fwrite(head, head_len, 1, f) != 1) ||
	    fwrite(bytes, len, 1, f) != 1 || fclose(f)) {
		perror(path);
		exit(1);
	}
}

static void kallsyms(const char *dir)
{
	static const char *const names[] = { "6.1", "6.2", "6.3", "6.4", "7" };
	struct synth_symbol list[COUNT];
	char text[COUNT][12], name[64];

	for (int order = SYNTH_ORDER_6_1; order <= SYNTH_ORDER_7; order++) {
		for (int encoding = 1; encoding <= 3; encoding++) {
			struct synth_tables t;

			/*
			 * The older orders had the first encoding here; the others differ in no
			 * step.
			 */
			if (order < SYNTH_ORDER_6_4 && encoding != RF_KALLSYMS_ABSOLUTE_PERCPU)
				continue;
			for (int i = 0; i < COUNT; i++) {
				snprintf(text[i], sizeof(text[i]), "sys_%d", i);
				list[i] = (struct synth_symbol){ text[i], 'T', IMAGE + i * 0x800 };
				if (i < 3 && encoding == RF_KALLSYMS_ABSOLUTE_PERCPU)
					list[i].addr = i * 8;
			}
			list[3].name = "_text";
			t = synth_kallsyms(list, COUNT, order, encoding, IMAGE + 0x1200000, IMAGE);
			snprintf(name, sizeof(name), "fuzz_kallsyms/order-%s-encoding-%d",
				 names[order], encoding);
			save(dir, name, NULL, 0, t.bytes, t.len);
			free(t.bytes);
		}
	}
}

static void btf(const char *dir)
{
	struct synth_btf b;
	uint32_t u32, inner, array, pointer;
	uint8_t *blob;
	size_t len;

	synth_btf_init(&b);
	u32 = synth_btf_int(&b, "int", 4, 32);
	inner = synth_btf_struct(&b, BTF_KIND_STRUCT, NULL, 4, 1, false);
	synth_btf_member(&b, "val", u32, 0);
	inner = synth_btf_ref(&b, BTF_KIND_TYPEDEF, "kuid_t", inner);
	synth_btf_struct(&b, BTF_KIND_STRUCT, "cred", 8, 1, false);
	synth_btf_member(&b, "uid", inner, 0);
	array = synth_btf_array(&b, u32, 4);
	pointer = synth_btf_ref(&b, BTF_KIND_PTR, NULL,
				synth_btf_ref(&b, BTF_KIND_CONST, NULL, b.types));
	inner = synth_btf_struct(&b, BTF_KIND_UNION, NULL, 8, 2, false);
	synth_btf_member(&b, "b", u32, 0);
	synth_btf_member(&b, "x", pointer, 0);
	synth_btf_struct(&b, BTF_KIND_STRUCT, "task_struct", 64, 5, true);
	synth_btf_member(&b, NULL, inner, 0);
	synth_btf_member(&b, "pid", u32, 64);
	synth_btf_member(&b, "real_cred", pointer, 128);
	synth_btf_member(&b, "list", array, 192);
	synth_btf_member(&b, "val", u32, 3 << 24 | 320);
	synth_btf_enum(&b, false, "system_states", 1, false);
	synth_btf_value(&b, false, "SYSTEM_RUNNING", 2);
	synth_btf_enum(&b, true, NULL, 1, true);
	synth_btf_value(&b, true, "WIDE", -1);
	blob = synth_btf_blob(&b, &len);
	save(dir, "fuzz_btf/types", NULL, 0, blob, len);
	free(blob);
}

static void pagetable(const char *dir)
{
	for (unsigned int levels = 4; levels <= 5; levels++) {
		uint64_t head[2] = { IMAGE + 0xff0, levels - 4 };
		struct synth s;
		char name[64];

		synth_init(&s, 0x8000, 0, levels);
		synth_map(&s, IMAGE, 0x3000, RF_PAGE_SIZE, SYNTH_NX);
		synth_map(&s, IMAGE + 0x1000, 0x2000, RF_PAGE_SIZE, SYNTH_W);
		synth_map(&s, IMAGE + 0x2000, 0x3000, RF_PAGE_SIZE, SYNTH_W);
		synth_map(&s, IMAGE + RF_HUGE_SIZE, RF_HUGE_SIZE, RF_HUGE_SIZE, 0);
		synth_map(&s, UINT64_C(0x40000000), 0, UINT64_C(1) << 30, SYNTH_U | SYNTH_W);
		snprintf(name, sizeof(name), "fuzz_pagetable/levels-%u", levels);
		save(dir, name, head, sizeof(head), s.ram, s.next_table);
		synth_deinit(&s);
	}
}

/* Nine pages of an image, its own page tables the last of them. */
static void locate(const char *dir)
{
	const struct synth_symbol list[] = {
		{ "pcpu_hot", 'A', 0x1000 },
		{ "_text", 'T', IMAGE },
		{ "linux_banner", 'D', IMAGE + 0x7000 },
		{ "init_top_pgt", 'D', IMAGE + 0x8000 },
	};
	struct synth_tables t = synth_kallsyms(list, 4, SYNTH_ORDER_6_4,
					       RF_KALLSYMS_ABSOLUTE_PERCPU, IMAGE + 0x1000, IMAGE);

	for (unsigned int levels = 4; levels <= 5; levels++) {
		uint64_t head[4] = { 0x8000, (uint64_t)(levels - 4) << 12, 0, IMAGE };
		struct synth s;
		char name[64];

		synth_init(&s, 0xe000, 0x8000, levels);
		synth_put(&s, 0x1000, t.bytes, t.len);
		synth_put(&s, 0x7000, "Linux version 6", 16);
		for (uint64_t at = 0; at < 0x9000; at += RF_PAGE_SIZE)
			synth_map(&s, IMAGE + at, at, RF_PAGE_SIZE, at ? SYNTH_NX : 0);
		for (unsigned int known = 0; known <= 1; known++) {
			snprintf(name, sizeof(name), "fuzz_locate/levels-%u%s", levels,
				 known ? "-registers" : "");
			head[0] = known ? 0x8000 : 0;
			save(dir, name, head, sizeof(head), s.ram, s.next_table);
		}
		synth_deinit(&s);
	}
	free(t.bytes);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("usage: introspection_seeds DIR\n", stderr);
		return 2;
	}
	kallsyms(argv[1]);
	btf(argv[1]);
	pagetable(argv[1]);
	locate(argv[1]);
	return 0;
}
