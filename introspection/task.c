// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/task.h"

#include <errno.h>
#include <string.h>

#include "introspection/kernel_internal.h"

/*
 * The running task's pointer lives in per-CPU memory: `current_task` (to 6.1, and again from 6.15),
 * or a member of `pcpu_hot` between (arch/x86/include/asm/current.h).
 */
static int current_offset(const struct rf_kernel *k, uint64_t *out)
{
	struct rf_symbol s;
	struct rf_member m;
	int r;

	if (!rf_kernel_symbol(k, "current_task", &s)) {
		*out = s.addr.v;
		return 0;
	}
	r = rf_kernel_symbol(k, "pcpu_hot", &s);
	if (r)
		return r;
	r = rf_kernel_member(k, "pcpu_hot", "current_task", &m);
	if (r)
		return r;
	if (m.size != 8)
		return -ENOENT;
	*out = s.addr.v + m.offset;
	return 0;
}

/* Of exactly that size: a kernel that changed it leaves the task unknown, not wrong. */
static bool member(const struct rf_kernel *k, const char *type, const char *path, uint64_t size,
		   uint64_t *offset)
{
	struct rf_member m;

	if (rf_kernel_member(k, type, path, &m) || m.size != size)
		return false;
	*offset = m.offset;
	return true;
}

void rf_task_layout_init(struct rf_kernel *k)
{
	struct rf_task_layout l = { 0 };
	struct rf_member comm;

	if (current_offset(k, &l.current) || rf_kernel_member(k, "task_struct", "comm", &comm))
		return;
	l.comm = comm.offset;
	l.comm_size = comm.size;
	l.known = member(k, "task_struct", "pid", 4, &l.pid) &&
		  member(k, "task_struct", "tgid", 4, &l.tgid) &&
		  member(k, "task_struct", "real_cred", 8, &l.real_cred) &&
		  member(k, "cred", "uid.val", 4, &l.uid);
	k->task = l;
}

static bool in_kernel_half(uint64_t addr)
{
	return addr >> 63;
}

int rf_task_current(const struct rf_kernel *k, const struct rf_memory *m, const struct rf_paging *p,
		    rf_gva percpu_base, struct rf_task *out)
{
	const struct rf_task_layout *l = &k->task;
	char comm[sizeof(out->comm) - 1] = "";
	struct rf_task t = { 0 };
	uint64_t task, cred;
	size_t len = l->comm_size < sizeof(comm) ? l->comm_size : sizeof(comm);
	int r;

	if (!l->known)
		return -ENOENT;
	/* From 6.15 on GS base is a distance to linked addresses, not an address: the sum wraps. */
	r = rf_pt_read(m, p, rf_gva_of(percpu_base.v + l->current), &task, sizeof(task));
	if (r)
		return r;
	if (!in_kernel_half(task))
		return -EBADMSG;
	if ((r = rf_pt_read(m, p, rf_gva_of(task + l->comm), comm, len)) ||
	    (r = rf_pt_read(m, p, rf_gva_of(task + l->pid), &t.pid, sizeof(t.pid))) ||
	    (r = rf_pt_read(m, p, rf_gva_of(task + l->tgid), &t.tgid, sizeof(t.tgid))) ||
	    (r = rf_pt_read(m, p, rf_gva_of(task + l->real_cred), &cred, sizeof(cred))))
		return r;
	if (!in_kernel_half(cred))
		return -EBADMSG;
	r = rf_pt_read(m, p, rf_gva_of(cred + l->uid), &t.uid, sizeof(t.uid));
	if (r)
		return r;
	rf_guest_text(comm, len, t.comm, sizeof(t.comm));
	*out = t;
	return 0;
}
