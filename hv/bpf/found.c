// SPDX-License-Identifier: LGPL-2.1-or-later
/* Who is on the map already, for a service that is started anew. */
#include <errno.h>
#include <unistd.h>

#include "hv/bpf/impl.h"

unsigned int rf_crwatch_list(const struct rf_crwatch *w, pid_t *out, unsigned int room)
{
	__u32 key, *from = NULL;
	unsigned int n = 0;

	/* Keys may come and go meanwhile. */
	while (n < room && !bpf_map_get_next_key(w->vms, from, &key)) {
		out[n++] = (pid_t)key;
		from = &key;
	}
	return n;
}

int rf_crwatch_found(const struct rf_crwatch *w, pid_t pid, struct rf_crwatch_page *out)
{
	uint32_t id = rf_vms_page(w->vms, pid);
	int fd = id ? bpf_map_get_fd_by_id(id) : -ENOENT, err;
	unsigned long long ticks;

	if (fd < 0)
		return -ENOENT;
	err = rf_crwatch_page_open(fd, out);
	close(fd);
	if (err)
		return err;
	/* A dead one's, whose id this process has. What the page says is its VMM's word: who lies
	 * in it keeps the place until this process ends, or asks for one itself. */
	if (!rf_vms_started(pid, &ticks) && ticks == out->page->started)
		return 0;
	rf_crwatch_leave(w, pid, id);
	rf_crwatch_page_destroy(out);
	return -ESRCH;
}
