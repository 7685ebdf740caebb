// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The sensitive instructions of a stock kernel, from a memory dump of a booted one, for
 * tests/lab/oracle.py to compare with what another disassembler finds.
 *
 *   gadgets DUMP CR3 CR4 INSIDE TEXT LIST
 *
 * TEXT gets the bytes of [_text, _etext), LIST a line for each: address, length, "intended" or
 * "unintended", kind. The address of TEXT's first byte is the first line. Exit 1 when a search
 * in pieces finds anything else than one of the whole.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "introspection/x86/gadget.h"
#include "introspection/kernel.h"
#include "tests/unit/dump.h"

#define CAP 20000

static struct rf_gadget whole[CAP], pieces[CAP];

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* the machine may be busy */
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static int write_text(const struct rf_kernel *k, const struct rf_memory *m, rf_gva start,
		      rf_gva end, const char *path)
{
	size_t len = end.v - start.v;
	uint8_t *text = malloc(len);
	FILE *f = fopen(path, "we");
	rf_gpa gpa;
	int bad = !text || !f || rf_kernel_image_gpa(k, start, &gpa) ||
		  rf_memory_read(m, gpa, text, len) || fwrite(text, len, 1, f) != 1;

	if (f)
		bad |= fclose(f) != 0;
	free(text);
	return bad;
}

/* Cut at every place that is no boundary of anything. */
static int in_pieces(struct rf_disasm *d, const struct rf_kernel *k, const struct rf_memory *m,
		     rf_gva start, rf_gva end, size_t *count)
{
	uint64_t step = 32771; /* about what the monitor takes at once */
	double longest = 0, began;
	size_t n, total = 0;

	for (uint64_t at = start.v; at < end.v; at += step) {
		rf_gva to = { end.v - at < step ? end.v : at + step };
		int r;

		began = now_ms();
		r = rf_gadgets_list(d, k, m, rf_gva_of(at), to, pieces + total, CAP - total, &n);
		if (now_ms() - began > longest)
			longest = now_ms() - began;
		if (r || n > CAP - total)
			return r ? r : -E2BIG;
		total += n;
	}
	printf("longest piece: %.2f ms\n", longest);
	*count = total;
	return 0;
}

static int write_list(const char *path, rf_gva start, size_t count)
{
	unsigned int n[RF_GADGET_KINDS][2] = { 0 };
	FILE *f = fopen(path, "we");

	if (!f)
		return 1;
	fprintf(f, "%llx\n", (unsigned long long)start.v);
	for (size_t i = 0; i < count; i++) {
		n[whole[i].kind][whole[i].intended]++;
		fprintf(f, "%llx %u %s %s\n", (unsigned long long)whole[i].addr.v, whole[i].len,
			whole[i].intended ? "intended" : "unintended",
			rf_gadget_kind_text(whole[i].kind));
	}
	for (int k = 1; k < RF_GADGET_KINDS; k++)
		printf("  %-8s %4u intended, %4u unintended\n",
		       rf_gadget_kind_text((enum rf_gadget_kind)k), n[k][1], n[k][0]);
	return fclose(f) != 0;
}

static int examine(struct rf_kernel *k, const struct rf_memory *m, char **paths)
{
	struct rf_disasm *d = NULL;
	size_t count, again;
	rf_gva start, end;
	double t[3];

	if (rf_disasm_create(&d) || rf_kernel_address(k, "_text", &start) ||
	    rf_kernel_address(k, "_etext", &end))
		return 1;
	t[0] = now_ms();
	if (rf_gadgets_list(NULL, k, m, start, end, whole, CAP, &count))
		return 1;
	t[1] = now_ms();
	if (rf_gadgets_list(d, k, m, start, end, whole, CAP, &count) || count > CAP)
		return 1;
	t[2] = now_ms();
	printf("%zu in %llu KiB: %.1f ms by bytes alone, %.1f ms with boundaries\n", count,
	       (unsigned long long)(end.v - start.v) / 1024, t[1] - t[0], t[2] - t[1]);
	if (write_text(k, m, start, end, paths[0]) || write_list(paths[1], start, count))
		return 1;
	if (in_pieces(d, k, m, start, end, &again) || again != count ||
	    memcmp(whole, pieces, count * sizeof(whole[0]))) {
		printf("  wrong: pieces hold something else than the whole\n");
		return 1;
	}
	rf_disasm_destroy(d);
	return 0;
}

int main(int argc, char **argv)
{
	struct rf_diag diag = { "" };
	struct rf_paging p;
	struct rf_memory m;
	struct rf_kernel *k;
	struct dump d;
	int r;

	if (argc != 7) {
		fputs("usage: gadgets DUMP CR3 CR4 INSIDE TEXT LIST\n", stderr);
		return 2;
	}
	r = dump_open(argv[1], &d);
	if (r) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(-r));
		return 2;
	}
	m = dump_memory(&d);
	p = rf_paging_of(strtoull(argv[2], NULL, 16), strtoull(argv[3], NULL, 16));
	r = rf_kernel_discover(&m, &p, rf_gva_of(strtoull(argv[4], NULL, 16)), &k, &diag);
	if (r) {
		printf("no kernel: %s (%s)\n", strerror(-r), diag.text);
		return 1;
	}
	r = examine(k, &m, argv + 5);
	rf_kernel_destroy(k);
	dump_close(&d);
	return r;
}
