// SPDX-License-Identifier: LGPL-2.1-or-later
/* The KVM backend of a process that only looks: it has no socket to the fence. */
#include "hv/view.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct view_backend {
	struct rf_backend base;
	struct rf_view view;
	struct rf_patch_table *table;
};

static struct view_backend *of(struct rf_backend *b)
{
	return (struct view_backend *)b;
}

static int view_info(struct rf_backend *b, struct rf_backend_info *out)
{
	return rf_view_info(&of(b)->view, out);
}

static int view_read(struct rf_backend *b, rf_gpa gpa, void *buf, size_t len)
{
	return rf_view_read(&of(b)->view, gpa.v, buf, len, false) ? -EFAULT : 0;
}

static int view_read_decoy(struct rf_backend *b, rf_gpa gpa, void *buf, size_t len)
{
	return rf_view_read(&of(b)->view, gpa.v, buf, len, true);
}

static int view_ram(struct rf_backend *b, struct rf_ram out[RF_RAM_MAX])
{
	return rf_view_ram(&of(b)->view, out);
}

static struct rf_patch_table *view_table(struct rf_backend *b)
{
	return of(b)->table;
}

static void view_trail(struct rf_backend *b, struct rf_patching *out)
{
	rf_view_trail(&of(b)->view, out);
}

static void view_destroy(struct rf_backend *b)
{
	struct view_backend *v = of(b);

	if (!v)
		return;
	rf_view_close(&v->view);
	munmap(v->table, sizeof(*v->table));
	free(v);
}

static const struct rf_backend_ops view_ops = {
	.name = "kvm, for reading",
	.info = view_info,
	.read = view_read,
	.read_decoy = view_read_decoy,
	.ram = view_ram,
	.table = view_table,
	.trail = view_trail,
	.destroy = view_destroy,
};

int rf_backend_kvm_view(const int fds[RF_SHARED], struct rf_backend **out)
{
	struct view_backend *v = calloc(1, sizeof(*v));
	const char *why;
	void *table;
	int err = v ? 0 : -ENOMEM;

	if (!err && !rf_view_is_sealed(fds[RF_SHARED_TABLE], sizeof(*v->table)))
		err = -EBADMSG;
	if (!err)
		err = rf_view_open(&v->view, fds[RF_SHARED_BOARD], fds[RF_SHARED_MEMORY], &why);
	if (err) {
		free(v);
		return err;
	}
	table = mmap(NULL, sizeof(*v->table), PROT_READ, MAP_SHARED, fds[RF_SHARED_TABLE], 0);
	if (table == MAP_FAILED) {
		err = -errno;
		munmap((void *)(uintptr_t)v->view.board, sizeof(struct rf_board_file));
		free(v);
		return err;
	}
	close(fds[RF_SHARED_TABLE]);
	v->table = table;
	v->base.ops = &view_ops;
	*out = &v->base;
	return 0;
}
