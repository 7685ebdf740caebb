// SPDX-License-Identifier: LGPL-2.1-or-later
/* Memory out of files of every format but one: what is there, what is not, what is malformed. */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/dump_check.h"

/* --- ELF --- */

#define PH_VADDR 16u
#define PH_PADDR 24u
#define PH_FILESZ 32u
#define PH_MEMSZ 40u

static void test_elf(void **state)
{
	struct fake_dump f = fake_dump_elf();

	dump_check_all(&f, "ELF core", true);
	f = fake_dump_elf();
	dump_check_cut(&f);
}

/* An error, not a signal. */
static void test_shrinking(void **state)
{
	struct fake_dump f = fake_dump_elf();
	int fd = fake_dump_fd(&f);
	uint8_t bytes[2 * PAGE];
	struct rf_dump *d;

	assert_int_equal(rf_dump_open(fd, &d, NULL, 0), 0);
	assert_int_equal(ftruncate(fd, f.len - 1), 0);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x13000), bytes, PAGE), 0);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x13000), bytes, 2 * PAGE), -EFAULT);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x13000), bytes, PAGE), -EFAULT);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x13000), bytes, 8), -EFAULT);
	rf_dump_close(d);
	close(fd);
	free(f.bytes);
}

static void elf_refused(size_t at, uint64_t value, size_t len, int err, const char *reason)
{
	struct fake_dump f = fake_dump_elf();

	fake_dump_put(&f, at, &value, len);
	dump_refused(&f, err, reason);
}

static void test_elf_malformed(void **state)
{
	const size_t load = FAKE_ELF_PHDR(2), note = FAKE_ELF_PHDR(0);
	const size_t notes = FAKE_ELF_PHDR(1 + FAKE_DUMP_RANGES);

	elf_refused(4, ELFCLASS32, 1, -ENOTSUP, "64-bit x86");
	elf_refused(5, ELFDATA2MSB, 1, -ENOTSUP, "64-bit x86");
	elf_refused(18, EM_AARCH64, 2, -ENOTSUP, "64-bit x86");
	elf_refused(16, ET_EXEC, 2, -ENOTSUP, "no core");
	elf_refused(54, 55, 2, -EBADMSG, "program headers of another size");
	elf_refused(32, UINT64_MAX - 8, 8, -EBADMSG, "headers outside");
	elf_refused(32, 1 << 20, 8, -EBADMSG, "headers outside");
	elf_refused(56, 0xfffe, 2, -EBADMSG, "headers outside");
	elf_refused(56, 0, 2, -EBADMSG, "without any physical memory");
	elf_refused(56, PN_XNUM, 2, -EBADMSG, "without any"); /* no section headers either */
	elf_refused(load + 8, UINT64_MAX - 8, 8, -EBADMSG, "cut off or malformed");
	elf_refused(load + PH_FILESZ, 1 << 20, 8, -EBADMSG, "cut off or malformed");
	elf_refused(load + PH_FILESZ, UINT64_MAX, 8, -EBADMSG, "cut off or malformed");
	elf_refused(load + PH_MEMSZ, 1, 8, -EBADMSG, "cut off or malformed");
	elf_refused(load + PH_PADDR, UINT64_MAX - 8, 8, -EBADMSG, "no place");
	elf_refused(load + PH_PADDR, UINT64_C(1) << 52, 8, -EBADMSG, "no place");
	elf_refused(load + PH_PADDR, 0x3fff, 8, -EBADMSG, "overlap");
	elf_refused(note + 8, UINT64_MAX - 8, 8, -EBADMSG, "notes outside");
	elf_refused(note + PH_FILESZ, 1 << 20, 8, -EBADMSG, "notes outside");
	elf_refused(notes, UINT32_MAX, 4, -EBADMSG, "malformed notes");
	elf_refused(notes + 4, UINT32_MAX, 4, -EBADMSG, "malformed notes");
	elf_refused(notes + 4, 1 << 16, 4, -EBADMSG, "malformed notes");
}

/* The number of program headers in a section header. */
static void test_elf_xnum(void **state)
{
	struct fake_dump f = fake_dump_elf();
	size_t at = f.len;

	fake_dump_u32(&f, 56, PN_XNUM);
	fake_dump_u64(&f, 40, at);
	fake_dump_u32(&f, at + 44, 1 + FAKE_DUMP_RANGES);
	fake_dump_u64(&f, at + 56, 0);
	dump_check_all(&f, "ELF core", true);

	f = fake_dump_elf();
	fake_dump_u32(&f, 56, PN_XNUM);
	fake_dump_u64(&f, 40, at);
	fake_dump_u32(&f, at + 44, UINT32_MAX);
	fake_dump_u64(&f, at + 56, 0);
	dump_refused(&f, -ENOTSUP, "4294967295 segments");
	f = fake_dump_elf();
	fake_dump_u32(&f, 56, PN_XNUM);
	fake_dump_u64(&f, 40, UINT64_MAX);
	dump_refused(&f, -EBADMSG, "no section header");
}

/* Adds a segment behind the others, whose headers are moved to the end. */
static void add_segment(struct fake_dump *f, uint64_t vaddr, uint64_t paddr, uint64_t from,
			uint64_t size)
{
	uint64_t phoff, end = f->len;
	uint16_t count;
	uint8_t *copy;

	memcpy(&phoff, f->bytes + 32, 8);
	memcpy(&count, f->bytes + 56, 2);
	copy = malloc(count * 56);
	memcpy(copy, f->bytes + phoff, count * 56);
	fake_dump_put(f, end, copy, count * 56);
	free(copy);
	fake_dump_u64(f, 32, end);
	end = f->len;
	fake_dump_u32(f, end, PT_LOAD);
	fake_dump_u64(f, end + 8, from);
	fake_dump_u64(f, end + PH_VADDR, vaddr);
	fake_dump_u64(f, end + PH_PADDR, paddr);
	fake_dump_u64(f, end + PH_FILESZ, size);
	fake_dump_u64(f, end + PH_MEMSZ, size);
	fake_dump_u64(f, end + 48, 0);
	count++;
	fake_dump_put(f, 56, &count, 2);
}

static uint64_t place_of(const struct fake_dump *f, unsigned int range)
{
	uint64_t at;

	memcpy(&at, f->bytes + FAKE_ELF_PHDR(1 + range) + 8, 8);
	return at;
}

/* The same memory seen by another address, as QEMU's paging=true has it. */
static void test_elf_alias(void **state)
{
	struct fake_dump f = fake_dump_elf();

	add_segment(&f, 0xffff888000002000, 0x2000, place_of(&f, 0) + PAGE, PAGE);
	add_segment(&f, 0xffff888000002800, 0x2800, place_of(&f, 0) + PAGE + 0x800, 0x1800);
	dump_check_all(&f, "ELF core", true);
	f = fake_dump_elf();
	add_segment(&f, 0xffff888000002000, 0x2000, place_of(&f, 0), PAGE);
	dump_refused(&f, -EBADMSG, "overlap and differ");
}

/* The kernel's text a second time, elsewhere in the file; and what has no physical address. */
static void test_elf_vmcore(void **state)
{
	struct fake_dump f = fake_dump_elf();

	add_segment(&f, 0xffffffff81000000, 0x2000, 0, PAGE);
	add_segment(&f, 0xffffc90000000000, UINT64_MAX, 0, UINT64_MAX);
	dump_check_all(&f, "ELF core", true);

	/* And the only one of this memory. */
	f = fake_dump_elf();
	fake_dump_u64(&f, FAKE_ELF_PHDR(2) + PH_VADDR, 0xffffffff81000000);
	dump_check_all(&f, "ELF core", true);

	f = fake_dump_elf();
	add_segment(&f, 0xffffffff81000000, 0x4000, 0, 2 * PAGE);
	dump_refused(&f, -EBADMSG, "overlap and differ");
}

static void test_elf_unplaced(void **state)
{
	struct fake_dump f = fake_dump_elf();

	for (unsigned int i = 1; i <= FAKE_DUMP_RANGES; i++) {
		fake_dump_u64(&f, FAKE_ELF_PHDR(i) + PH_VADDR, 0xffff888000000000 + i * 0x10000);
		fake_dump_u64(&f, FAKE_ELF_PHDR(i) + PH_PADDR, 0);
	}
	dump_refused(&f, -ENOTSUP, "/proc/kcore");
}

/* What p_memsz has and p_filesz does not is not there: it was left out. */
static void test_elf_left_out(void **state)
{
	struct fake_dump f = fake_dump_elf();
	struct rf_dump *d;
	uint8_t byte;

	fake_dump_u64(&f, FAKE_ELF_PHDR(3) + PH_FILESZ, PAGE);
	d = dump_opened(&f);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x12fff), &byte, 1), 0);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x13000), &byte, 1), -EFAULT);
	assert_int_equal(rf_dump_end(d), 0x13000);
	rf_dump_close(d);
	free(f.bytes);
}

/* Notes that are none of ours, or not whole, cost nothing but themselves. */
static void test_notes(void **state)
{
	const size_t notes = FAKE_ELF_PHDR(1 + FAKE_DUMP_RANGES), second = notes + 20 + 336;
	struct fake_dump f = fake_dump_elf();
	struct rf_dump_cpu cpu;
	struct rf_dump *d;

	fake_dump_u32(&f, second + 8, 77);	      /* the second status */
	fake_dump_u32(&f, second + 20 + 336 + 20, 2); /* the version of the first state */
	d = dump_opened(&f);
	assert_int_equal(rf_dump_cpus(d), 1);
	assert_int_equal(rf_dump_cpu(d, 0, &cpu), 0);
	assert_int_equal(cpu.cr3, fake_dump_register(1, FAKE_CR3));
	rf_dump_close(d);
	/* An empty note is the last one. */
	fake_dump_u32(&f, second, 0);
	d = dump_opened(&f);
	assert_int_equal(rf_dump_cpus(d), 1);
	assert_int_equal(rf_dump_cpu(d, 0, &cpu), 0);
	assert_int_equal(cpu.known, RF_DUMP_CPU_RIP);
	rf_dump_close(d);
	free(f.bytes);
}

static void test_notes_vbox(void **state)
{
	static const uint16_t places[] = { 112, 288, 304, 312, 400, 240, 536 };
	const size_t notes = FAKE_ELF_PHDR(1 + FAKE_DUMP_RANGES), note = notes + 2 * (20 + 336);
	struct fake_dump f = fake_dump_elf();
	struct rf_dump_cpu cpu;
	struct rf_dump *d;

	/* In place of QEMU's two. */
	fake_dump_u32(&f, note, 6);
	fake_dump_u32(&f, note + 4, 2 * (20 + 440) - 20);
	fake_dump_put(&f, note + 12, "VBCPU", 6);
	for (unsigned int i = 0; i < 7; i++)
		fake_dump_u64(&f, note + 20 + places[i], 100 + i);
	d = dump_opened(&f);
	assert_int_equal(rf_dump_cpus(d), 2);
	assert_int_equal(rf_dump_cpu(d, 0, &cpu), 0);
	assert_int_equal(cpu.known, 7);
	assert_true(cpu.rip == 100 && cpu.cr0 == 101 && cpu.cr3 == 102 && cpu.cr4 == 103);
	assert_true(cpu.idt_base == 104 && cpu.gs_base == 105 && cpu.kernel_gs_base == 106);
	rf_dump_close(d);
	free(f.bytes);
}

/* --- LiME, raw and others --- */

static void lime_refused(size_t at, uint64_t value, size_t len, int err, const char *reason)
{
	struct fake_dump f = fake_dump_lime();

	fake_dump_put(&f, at, &value, len);
	dump_refused(&f, err, reason);
}

static void test_lime(void **state)
{
	const size_t second = 32 + 0x3000;
	struct fake_dump f = fake_dump_lime();

	dump_check_all(&f, "LiME", false);
	f = fake_dump_lime();
	dump_check_cut(&f);
	lime_refused(4, 2, 4, -ENOTSUP, "version 2");
	lime_refused(0, 0x4c4d5641, 4, -ENOTSUP, "AVML");
	lime_refused(8, 0x4000, 8, -EBADMSG, "malformed");
	lime_refused(16, UINT64_MAX, 8, -EBADMSG, "cut off");
	lime_refused(16, 0x2fff, 8, -EBADMSG, "malformed");
	lime_refused(second, 0, 4, -EBADMSG, "malformed");
	lime_refused(second + 4, 0, 4, -EBADMSG, "malformed");
	lime_refused(second + 8, 0x3fff, 8, -EBADMSG, "");
	f = fake_dump_lime();
	fake_dump_u64(&f, second + 8, 0x3800);
	fake_dump_u64(&f, second + 16, 0x47ff);
	dump_refused(&f, -EBADMSG, "overlap");
	f = fake_dump_lime();
	fake_dump_u64(&f, 8, 0);
	fake_dump_u64(&f, 16, UINT64_MAX);
	dump_refused(&f, -EBADMSG, "cut off");
	f = fake_dump_lime();
	fake_dump_u64(&f, 8, UINT64_MAX - 0x2fff);
	fake_dump_u64(&f, 16, UINT64_MAX);
	dump_refused(&f, -EBADMSG, "no place");
}

static void test_raw(void **state)
{
	struct fake_dump f = { 0 };
	struct rf_dump *d, *raw;
	char why[160];
	uint8_t bytes[16];
	uint64_t size;
	rf_gpa start;
	int fd;

	fake_dump_u64(&f, 3 * PAGE - 8, 0x0102030405060708);
	d = dump_opened(&f);
	assert_string_equal(rf_dump_format(d), "raw");
	assert_int_equal(rf_dump_end(d), 3 * PAGE);
	assert_int_equal(rf_dump_range(d, 0, &start, &size), 0);
	assert_true(!start.v && size == 3 * PAGE);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(3 * PAGE - 8), bytes, 8), 0);
	assert_int_equal(bytes[7], 1);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(3 * PAGE - 8), bytes, 9), -EFAULT);
	assert_int_equal(rf_dump_cpus(d), 0);
	assert_int_equal(rf_dump_fill(d), -ENOTSUP);
	rf_dump_close(d);

	/* A guest that would have its memory taken for something else. */
	fake_dump_put(&f, 0, "KDUMP   ", 8);
	fd = fake_dump_fd(&f);
	assert_int_equal(rf_dump_open(fd, &d, why, sizeof(why)), -EBADMSG);
	assert_int_equal(rf_dump_open_raw(fd, &raw, why, sizeof(why)), 0);
	close(fd); /* it has its own */
	assert_int_equal(rf_dump_read(raw, rf_gpa_of(0), bytes, 8), 0);
	assert_memory_equal(bytes, "KDUMP   ", 8);
	rf_dump_close(raw);
	fake_dump_u32(&f, f.len, 0);
	f.bytes[0] = 0;
	dump_refused(&f, -ENOTSUP, "whole pages");
	f = (struct fake_dump){ 0 };
	dump_refused(&f, -ENOTSUP, "whole pages");
}

static void test_others(void **state)
{
	static const char *const magics[] = {
		"LibvirtQemudSave", "QEVM",	    "QFI\xfb",
		"PAGEDU64",	    "\x1f\x8b\x08", "\x28\xb5\x2f\xfd"
	};
	char buf[8];
	int ends[2];

	for (size_t i = 0; i < sizeof(magics) / sizeof(*magics); i++) {
		struct fake_dump f = { 0 };

		fake_dump_u64(&f, PAGE - 8, 0);
		fake_dump_put(&f, 0, magics[i], strlen(magics[i]));
		dump_refused(&f, -ENOTSUP, " ");
	}
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(rf_dump_open(ends[0], &(struct rf_dump *){ NULL }, buf, sizeof(buf)),
			 -ENOTSUP);
	assert_string_equal(buf, "not a f");
	assert_int_equal(rf_dump_open(-1, &(struct rf_dump *){ NULL }, NULL, 0), -ENOTSUP);
	close(ends[0]);
	close(ends[1]);
	rf_dump_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elf),	      cmocka_unit_test(test_shrinking),
		cmocka_unit_test(test_elf_malformed), cmocka_unit_test(test_elf_xnum),
		cmocka_unit_test(test_elf_alias),     cmocka_unit_test(test_elf_vmcore),
		cmocka_unit_test(test_elf_unplaced),  cmocka_unit_test(test_elf_left_out),
		cmocka_unit_test(test_notes),	      cmocka_unit_test(test_notes_vbox),
		cmocka_unit_test(test_lime),	      cmocka_unit_test(test_raw),
		cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
