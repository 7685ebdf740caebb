// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ELF64 cores, whose PT_LOADs are physical memory: QEMU's dump-guest-memory (dump/dump.c), with and
 * without paging=true; `virsh dump --memory-only`, which is the same; VirtualBox's dumpvmcore;
 * /proc/vmcore and makedumpfile -E; /proc/kcore. Format: gABI chapter 5, elf(5).
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "hv/dump/impl.h"

#define PHDRS_MAX 1048576u
#define NOTE_PHDRS_MAX 64u

/* /proc/kcore's p_paddr of what is no plain memory: fs/proc/kcore.c get_kcore_size(). */
#define NO_PADDR UINT64_MAX
/* __START_KERNEL_map: see struct core. */
#define IMAGE_WINDOW UINT64_C(0xffffffff80000000)

struct core {
	struct rf_dump *d;
	const struct rf_dump_why *why;
	uint64_t phoff;
	uint32_t phnum;
	/*
	 * /proc/vmcore and /proc/kcore have the kernel's text twice, once at the place of its own
	 * mapping: crash_prepare_elf64_headers(), arch's kclist_add(KCORE_TEXT). Where the memory
	 * is there already, that copy is not needed.
	 */
	struct rf_dump_ranges image;
	unsigned int notes;
	unsigned int unplaced; /* mapped somewhere, and said to lie at physical 0 */
};

static int read_header(struct core *c)
{
	struct rf_dump_file *f = &c->d->file;
	Elf64_Shdr first;
	Elf64_Ehdr h;

	if (rf_dump_file_read(f, 0, &h, sizeof(h)))
		return rf_dump_fail(c->why, -EBADMSG, "ELF, and cut off in its header");
	if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != ELFDATA2LSB ||
	    h.e_machine != EM_X86_64)
		return rf_dump_fail(c->why, -ENOTSUP, "ELF, but of no 64-bit x86 machine");
	if (h.e_type != ET_CORE)
		return rf_dump_fail(c->why, -ENOTSUP,
				    "ELF, but no core: a program, or a dump that was not finished");
	if (h.e_phentsize != sizeof(Elf64_Phdr))
		return rf_dump_fail(c->why, -EBADMSG, "ELF, program headers of another size");
	c->phoff = h.e_phoff;
	c->phnum = h.e_phnum;
	if (h.e_phnum == PN_XNUM) {
		if (rf_dump_file_read(f, h.e_shoff, &first, sizeof(first)))
			return rf_dump_fail(c->why, -EBADMSG, "ELF, no section header");
		c->phnum = first.sh_info;
	}
	if (c->phnum > PHDRS_MAX)
		return rf_dump_fail(c->why, -ENOTSUP, "ELF core of %u segments", c->phnum);
	if (!rf_within(c->phoff, c->phnum * sizeof(Elf64_Phdr), 0, f->size))
		return rf_dump_fail(c->why, -EBADMSG, "ELF, program headers outside of the file");
	return 0;
}

/* What is not in the file (p_memsz, but no p_filesz) was left out, or is no RAM. */
static int take_load(struct core *c, const Elf64_Phdr *p)
{
	struct rf_dump_ranges *rs = &c->d->ranges;
	int r;

	if (!p->p_filesz || p->p_paddr == NO_PADDR)
		return 0;
	if (p->p_filesz > p->p_memsz || !rf_within(p->p_offset, p->p_filesz, 0, c->d->file.size))
		return rf_dump_fail(
			c->why, -EBADMSG,
			"ELF core, cut off or malformed: a segment of %llu bytes at %llu",
			(unsigned long long)p->p_filesz, (unsigned long long)p->p_offset);
	if (p->p_vaddr >= IMAGE_WINDOW)
		rs = &c->image;
	c->unplaced += p->p_vaddr && !p->p_paddr;
	r = rf_dump_ranges_add(rs, p->p_paddr, p->p_filesz, p->p_offset);
	if (r)
		return rf_dump_fail(c->why, r == -E2BIG ? -ENOTSUP : r,
				    "ELF core, no place for memory at %#llx",
				    (unsigned long long)p->p_paddr);
	return 0;
}

static int take_segments(struct core *c)
{
	Elf64_Phdr p;
	int r = 0;

	for (uint32_t i = 0; i < c->phnum && !r; i++) {
		if (rf_dump_file_read(&c->d->file, c->phoff + i * sizeof(p), &p, sizeof(p)))
			return rf_dump_fail(c->why, -EFAULT, "ELF, cannot read its headers");
		if (p.p_type == PT_LOAD)
			r = take_load(c, &p);
		else if (p.p_type == PT_NOTE && c->notes++ < NOTE_PHDRS_MAX)
			r = rf_dump_notes(c->d, p.p_offset, p.p_filesz, c->why);
	}
	return r;
}

/* Of the kernel's own mapping what is not there otherwise. */
static int add_image(struct core *c)
{
	struct rf_dump_ranges *rs = &c->d->ranges, *image = &c->image;
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < image->count; i++)
		if (!rf_dump_ranges_cover(rs, image->v[i].start, image->v[i].size))
			image->v[kept++] = image->v[i];
	for (size_t i = 0; i < kept && !r; i++)
		r = rf_dump_ranges_add(rs, image->v[i].start, image->v[i].size, image->v[i].from);
	return r;
}

/* Segments of QEMU's with paging=true overlap, and agree; others do not. */
static int place(struct core *c)
{
	struct rf_dump_ranges *rs = &c->d->ranges;
	int r = rf_dump_ranges_sort(rs);

	if (!r)
		r = add_image(c);
	if (!r)
		r = rf_dump_ranges_sort(rs);
	if (r == -EBADMSG && c->unplaced > 1)
		return rf_dump_fail(c->why, -ENOTSUP,
				    "ELF core that does not say where in physical memory it lies, "
				    "as /proc/kcore of old kernels");
	if (r == -EBADMSG)
		return rf_dump_fail(c->why, r, "ELF core, segments overlap and differ");
	if (r)
		return rf_dump_fail(c->why, r == -E2BIG ? -ENOTSUP : r,
				    "ELF core, too many segments");
	if (!rs->count)
		return rf_dump_fail(c->why, -EBADMSG, "ELF core without any physical memory");
	return 0;
}

int rf_dump_elf_open(struct rf_dump *d, const struct rf_dump_why *why)
{
	struct core c = { .d = d, .why = why };
	char magic[SELFMAG];
	int r;

	if (rf_dump_file_read(&d->file, 0, magic, sizeof(magic)) || memcmp(magic, ELFMAG, SELFMAG))
		return -ENOENT;
	d->format = d->file.flat ? "ELF core, flattened" : "ELF core";
	d->read = rf_dump_ranges_read;
	r = read_header(&c);
	if (!r)
		r = take_segments(&c);
	if (!r)
		r = place(&c);
	rf_dump_ranges_deinit(&c.image);
	return r;
}
