// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/view.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "hv/check.h"

#define BOARD_TRIES 1000

/* --- the board ------------------------------------------------------------ */

/*
 * What is copied belongs together, as nobody else changes the copy; and nothing of it is used that
 * rf_check_board() has not passed, whatever the sequence counter says. One that contradicts itself
 * is not waited for: what it is made of changes in one step (hv/board.h).
 */
static int board_copy(struct rf_view *v)
{
	for (int i = 0; i < BOARD_TRIES; i++) {
		uint32_t seq = __atomic_load_n(&v->board->seq, __ATOMIC_ACQUIRE);

		if (seq == v->copy_seq && seq)
			return 0;
		if (!(seq & 1)) {
			v->copy_seq = 0;
			memcpy(&v->copy, (const void *)(uintptr_t)v->board, sizeof(v->copy));
			__atomic_thread_fence(__ATOMIC_ACQUIRE);
			if (__atomic_load_n(&v->board->seq, __ATOMIC_ACQUIRE) == seq) {
				v->wrong = rf_check_board(&v->copy);
				if (v->wrong)
					return -EBADMSG;
				v->copy_seq = seq;
				return 0;
			}
		}
		usleep(100);
	}
	v->copy_seq = 0;
	return -EAGAIN;
}

int rf_view_info(struct rf_view *v, struct rf_backend_info *out)
{
	const struct rf_board *b = &v->copy;
	int err = board_copy(v);

	if (err)
		return err;
	*out = (struct rf_backend_info){
		.state = b->state,
		.vcpus = b->vcpus,
		.kernel = b->kernel,
		.lstar = b->lstar,
		.cr3 = b->cr3,
		.cr4 = b->cr4,
		.seal_ns = b->seal_ns,
		.copy_bytes = b->copy_bytes,
		.cr_watch = b->cr_watch == 1,
		.cr0_pinned = b->cr0_pinned,
		.cr4_pinned = b->cr4_pinned,
		.loaded = b->loaded != 0,
		.kept_entry = b->kept_entry,
		.regions_count = b->regions_count,
		.image = b->image,
		.traps_count = b->traps_count,
		.heals_taken = __atomic_load_n(&v->heals->taken, __ATOMIC_ACQUIRE),
	};
	memcpy(out->kept_note, b->kept_note, sizeof(out->kept_note));
	memcpy(out->regions, b->regions, sizeof(out->regions));
	memcpy(out->traps_note, b->traps_note, sizeof(out->traps_note));
	memcpy(out->traps, b->traps, sizeof(out->traps));
	for (int i = 0; i < RF_COUNTERS; i++)
		out->counters[i] = __atomic_load_n(&v->board->counters[i], __ATOMIC_RELAXED);
	return 0;
}

/* --- memory --------------------------------------------------------------- */

static int read_vmm(struct rf_view *v, uint64_t hva, void *buf, size_t len)
{
	return pread(v->memory_fd, buf, len, (off_t)hva) == (ssize_t)len ? 0 : -EFAULT;
}

int rf_view_read(struct rf_view *v, uint64_t gpa, void *to, size_t len, bool decoy)
{
	uint8_t *buf = to;
	int err = board_copy(v);

	if (err)
		return -EFAULT;
	while (len) {
		const struct rf_board_run *r = NULL;
		uint64_t hva;
		size_t part;

		for (uint32_t i = 0; i < v->copy.runs_count && !r; i++)
			if (gpa >= v->copy.runs[i].gpa &&
			    gpa - v->copy.runs[i].gpa < v->copy.runs[i].size)
				r = &v->copy.runs[i];
		if (!r)
			return -EFAULT;
		hva = decoy ? r->decoy : r->hva;
		if (!hva)
			return -ENOENT;
		part = r->size - (gpa - r->gpa);
		if (part > len)
			part = len;
		err = read_vmm(v, hva + (gpa - r->gpa), buf, part);
		if (err)
			return err;
		gpa += part;
		buf += part;
		len -= part;
	}
	return 0;
}

static int by_gpa(const void *a, const void *b)
{
	const struct rf_ram *x = a, *y = b;

	return x->gpa < y->gpa ? -1 : x->gpa > y->gpa;
}

int rf_view_ram(struct rf_view *v, struct rf_ram out[RF_RAM_MAX])
{
	size_t kept = 0, count;
	int err = board_copy(v);

	if (err)
		return err;
	count = v->copy.runs_count;
	if (count >= RF_RAM_MAX)
		return -E2BIG; /* there may be more, which had no room (hv/guestmem.c add_run()) */
	for (size_t i = 0; i < count; i++)
		out[i] = (struct rf_ram){ v->copy.runs[i].gpa, v->copy.runs[i].size };
	qsort(out, count, sizeof(out[0]), by_gpa);
	for (size_t i = 0; i < count; i++) {
		struct rf_ram *last = kept ? &out[kept - 1] : NULL;

		if (!out[i].size)
			continue;
		if (last && out[i].gpa - last->gpa < last->size)
			return -EBADMSG; /* no byte of a guest is in two of them */
		if (last && out[i].gpa - last->gpa == last->size)
			last->size += out[i].size;
		else
			out[kept++] = out[i];
	}
	return (int)kept;
}

size_t rf_view_heals(const struct rf_view *v, uint64_t *from, struct rf_heal *out, size_t max)
{
	const struct rf_heals *h = v->heals;
	uint64_t head = __atomic_load_n(&h->head, __ATOMIC_ACQUIRE);
	size_t n = 0;

	if (head < *from)
		*from = head; /* no fence says that */
	if (head - *from > RF_HEALS)
		*from = head - RF_HEALS;
	for (; *from < head && n < max; ++*from) {
		out[n] = h->entries[*from % RF_HEALS];
		rf_bound_heal(&out[n++]);
	}
	return n;
}

size_t rf_view_entries(const struct rf_view *v, uint64_t from, struct rf_patch_entry *out,
		       size_t max)
{
	const struct rf_trail *t = v->trail;
	uint64_t head = __atomic_load_n(&t->head, __ATOMIC_ACQUIRE);
	size_t n = 0;

	/* What would be overwritten by now is not there any more, whatever the fence says. */
	if (head < from || head - from > RF_TRAIL_ENTRIES)
		return 0;
	for (; from < head && n < max; from++)
		out[n++] = t->entries[from % RF_TRAIL_ENTRIES];
	return n;
}

void rf_view_trail(const struct rf_view *v, struct rf_patching *out)
{
	const struct rf_trail *t = v->trail;
	uint32_t count = __atomic_load_n(&t->flights_count, __ATOMIC_ACQUIRE);
	uint64_t head = __atomic_load_n(&t->head, __ATOMIC_ACQUIRE);

	*out = (struct rf_patching){
		.head = head,
		.oldest = head > RF_TRAIL_ENTRIES ? head - RF_TRAIL_ENTRIES : 0,
		.last_tail = __atomic_load_n(&t->last_tail, __ATOMIC_RELAXED),
		.batch = __atomic_load_n(&t->batch, __ATOMIC_RELAXED),
		.changes = __atomic_load_n(&t->changes, __ATOMIC_RELAXED),
		.count = count < RF_FLIGHTS ? count : RF_FLIGHTS,
	};
	for (int i = 0; i < RF_SITE_KINDS; i++)
		out->kinds[i] = __atomic_load_n(&t->kinds[i], __ATOMIC_RELAXED);
	memcpy(out->flights, t->flights, out->count * sizeof(out->flights[0]));
	for (uint32_t i = 0; i < out->count; i++)
		rf_bound_flight(&out->flights[i]);
}

/* --- opened --- */

/*
 * A descriptor of somebody's own file system (FUSE) leads every question about its file there, and
 * who waits for that answer may be beyond any signal (fs/fuse/dev.c request_wait_answer(): "Either
 * request is already in userspace, or it was forced. Wait it out"). So nothing is asked of a
 * descriptor before it is known to be none: which seals it has is answered by the kernel alone, and
 * only memory files have any (mm/memfd.c memfd_fcntl()).
 */
bool rf_view_is_sealed(int fd, off_t size)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	/* One that could still shrink would turn our reads into SIGBUS. */
	return seals >= 0 && seals & F_SEAL_SHRINK && !fstat(fd, &st) && st.st_size == size;
}

static int map_board(struct rf_view *v)
{
	void *map;

	if (!rf_view_is_sealed(v->board_fd, sizeof(struct rf_board_file)))
		return -EBADMSG;
	map = mmap(NULL, sizeof(struct rf_board_file), PROT_READ, MAP_SHARED, v->board_fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	v->board = map;
	v->trail = &((const struct rf_board_file *)map)->trail;
	v->heals = &((const struct rf_board_file *)map)->heals;
	if (v->board->magic != RF_BOARD_MAGIC || v->board->revision != RF_PROTO_REVISION) {
		munmap(map, sizeof(struct rf_board_file));
		return -EBADMSG;
	}
	return 0;
}

/*
 * On which file system a file is, asked of nobody: AT_STATX_DONT_SYNC takes what the kernel has
 * (statx(2); fs/fuse/dir.c fuse_update_get_attr()), and the device number is the superblock's.
 */
static bool is_on(int fd, const char *path, int flags, uint32_t *major, uint32_t *minor)
{
	struct statx x;

	if (statx(fd, path, flags | AT_STATX_DONT_SYNC, 0, &x))
		return false;
	*major = x.stx_dev_major;
	*minor = x.stx_dev_minor;
	return true;
}

/* On the procfs that this process sees. The one below another mount of it would be another. */
static bool is_of_our_proc(int fd)
{
	uint32_t major, minor, of_proc[2];

	return is_on(fd, "", AT_EMPTY_PATH, &major, &minor) &&
	       is_on(AT_FDCWD, "/proc", AT_EMPTY_PATH, &of_proc[0], &of_proc[1]) &&
	       major == of_proc[0] && minor == of_proc[1];
}

/* close() asks a file of FUSE to flush, and waits for it (fs/fuse/file.c fuse_flush()). */
void rf_view_let_go(int fd)
{
	const int flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
	struct statx x;
	bool harmless = fd >= 0 && (fcntl(fd, F_GET_SEALS) >= 0 || is_of_our_proc(fd));

	/* Pipes, sockets and the like are the kernel's own, and what lies on a block device is of
	 * no server: FUSE has numbers of no device (fs/super.c set_anon_super()). */
	if (fd >= 0 && !harmless && !statx(fd, "", flags, STATX_TYPE, &x))
		harmless = (!S_ISREG(x.stx_mode) && !S_ISDIR(x.stx_mode)) || x.stx_dev_major;
	if (harmless)
		close(fd);
}

/*
 * The VMM's memory: reading it takes no right and no process id. The file is that address space's
 * for as long as it is open, and there is nothing to read once the process is gone. Whose address
 * space it is does not matter: a VMM that lies has in its own what it likes.
 */
static bool is_memory(int fd)
{
	struct statfs fs;

	return fd >= 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY && is_of_our_proc(fd) &&
	       !fstatfs(fd, &fs) && fs.f_type == PROC_SUPER_MAGIC;
}

int rf_view_open(struct rf_view *v, int board_fd, int memory_fd, const char **why)
{
	int err;

	*v = (struct rf_view){ .board_fd = board_fd, .memory_fd = memory_fd };
	if (!is_memory(memory_fd)) {
		*why = "the fence handed over nothing that the VMM's memory can be read from (a "
		       "file "
		       "of this machine's /proc; a VMM that sees another procfs cannot be served)";
		return -EBADMSG;
	}
	err = map_board(v);
	if (err)
		*why = "the fence's board is not what it should be";
	return err;
}

void rf_view_close(struct rf_view *v)
{
	munmap((void *)(uintptr_t)v->board, sizeof(struct rf_board_file));
	close(v->memory_fd);
	close(v->board_fd);
}
