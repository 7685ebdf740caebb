/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/monitor/monitor.h"

static const char *const state_names[] = {
	[RF_VM_BOOTING] = "booting",
	[RF_VM_FOUND] = "found",
	[RF_VM_WATCHED] = "watched",
	[RF_VM_SEALED] = "sealed",
};

static const char *const counter_names[RF_COUNTERS] = {
	[RF_COUNT_RUN] = "run",		  [RF_COUNT_EXIT] = "exit",
	[RF_COUNT_WRITE] = "write",	  [RF_COUNT_EMULATION] = "emulation",
	[RF_COUNT_MSR] = "msr",		  [RF_COUNT_WATCH] = "watch",
	[RF_COUNT_ALLOWED] = "allowed",	  [RF_COUNT_DENIED] = "denied",
	[RF_COUNT_NOT_OURS] = "not_ours", [RF_COUNT_EINTR] = "interrupted",
	[RF_COUNT_MALFORMED] = "malformed", [RF_COUNT_PATCHED_BYTES] = "patched_bytes",
};

/* Read from /proc/self/statm, opened before the sandbox closed. */
int rf_statm_fd = -1;

static json_int_t rss_kib(void)
{
	long total, resident;
	char text[128];
	ssize_t n = pread(rf_statm_fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	return sscanf(text, "%ld %ld", &total, &resident) == 2 ? resident * 4 : 0;
}

static json_t *hex(uint64_t v)
{
	return json_sprintf("0x%llx", (unsigned long long)v);
}

static json_t *status(struct rf_guest *g)
{
	json_t *regions = json_array(), *counters = json_object(), *audit = json_object();
	struct rf_backend_info info = { 0 };
	bool attached = g->hv && !g->hv->ops->info(g->hv, &info);

	for (uint32_t i = 0; i < g->regions_count; i++) {
		const struct rf_measured *m = &g->regions[i];

		json_array_append_new(
			regions, json_pack("{s:s, s:o, s:o, s:I, s:s}", "kind",
					   rf_region_text(m->region.kind), "gva", hex(m->region.gva), "gpa",
					   hex(m->region.gpa), "size", (json_int_t)m->region.size, "sha256",
					   m->sha256));
	}
	for (int i = 0; i < RF_COUNTERS; i++)
		json_object_set_new(counters, counter_names[i], json_integer((json_int_t)info.counters[i]));
	for (enum rf_word w = RF_WORD_ALLOWED; g->audit && w <= RF_WORD_DETECTED; w++)
		json_object_set_new(audit, rf_word_text(w),
				    json_integer((json_int_t)rf_audit_count(g->audit, w)));
	return json_pack("{s:s, s:I, s:s, s:s, s:I, s:o, s:o, s:o, s:f, s:f, s:I, s:I, s:I, s:I}", "name",
			 g->name, "vmm_pid", (json_int_t)info.vmm_pid, "state",
			 attached && info.state <= RF_VM_SEALED ? state_names[info.state] : "waiting", "kernel",
			 g->kernel ? rf_kernel_banner(g->kernel) : "", "vcpus", (json_int_t)info.vcpus,
			 "regions", regions, "counters", counters, "audit", audit, "discovery_ms",
			 (double)g->discovery_ns / 1e6, "seal_ms", (double)info.seal_ns / 1e6, "monitor_pid",
			 (json_int_t)getpid(), "monitor_rss_kib", rss_kib(), "private_copy_kib",
			 (json_int_t)(info.copy_bytes / 1024), "dma_sweeps", (json_int_t)g->sweeps);
}

void rf_status_serve(struct rf_guest *g, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	json_t *request = NULL, *reply;
	char line[1024], *text;
	ssize_t n = 0;

	/* Whoever connects has written at once: the guest's events must not wait for a slow reader. */
	if (poll(&p, 1, 200) == 1)
		n = recv(fd, line, sizeof(line) - 1, MSG_DONTWAIT);
	if (n > 0)
		request = json_loadb(line, (size_t)n, JSON_DISABLE_EOF_CHECK, NULL);
	if (request && !strcmp(json_string_value(json_object_get(request, "cmd")) ?: "", "status"))
		reply = status(g);
	else
		reply = json_pack("{s:s}", "error", "unknown command");
	/* Each string of it is a name of our own or printable ASCII; NULL is want of memory. */
	text = reply ? json_dumps(reply, JSON_COMPACT) : NULL;
	if (text) {
		size_t len = strlen(text);

		text[len] = '\n'; /* takes the terminator's place */
		send(fd, text, len + 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	free(text);
	json_decref(reply);
	json_decref(request);
	close(fd);
}
