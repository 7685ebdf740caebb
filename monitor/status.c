// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/messages.h"
#include "monitor/monitor.h"
#include "monitor/rotate.h"
#include "patch/kinds.h"
#include "policy/keys.h"

#define CLIENT_NS UINT64_C(1000000000) /* for a request to come in */
/* The fence is asked once a second: what stands on the board is as old as its last word. */
#define FENCE_SILENT_NS UINT64_C(5000000000)

static const char *const state_names[] = {
	[RF_VM_BOOTING] = "booting", [RF_VM_FOUND] = "found",	[RF_VM_WATCHED] = "watched",
	[RF_VM_SEALED] = "sealed",   [RF_VM_HALTED] = "halted",
};

static const char *const counter_names[RF_COUNTERS] = {
	[RF_COUNT_RUN] = "run",
	[RF_COUNT_EXIT] = "exit",
	[RF_COUNT_WRITE] = "write",
	[RF_COUNT_EMULATION] = "emulation",
	[RF_COUNT_MSR] = "msr",
	[RF_COUNT_WATCH] = "watch",
	[RF_COUNT_ALLOWED] = "allowed",
	[RF_COUNT_DENIED] = "denied",
	[RF_COUNT_NOT_OURS] = "not_ours",
	[RF_COUNT_EINTR] = "interrupted",
	[RF_COUNT_MALFORMED] = "malformed",
	[RF_COUNT_PATCHED_BYTES] = "patched_bytes",
	[RF_COUNT_SETTLED] = "settled",
	[RF_COUNT_CR] = "control_undone",
	[RF_COUNT_CR_CLEARED] = "control_cleared",
	[RF_COUNT_CR_LOST] = "control_lost",
	[RF_COUNT_TRAP] = "traps",
	[RF_COUNT_POKED] = "poked",
	[RF_COUNT_LOOK] = "looks",
	[RF_COUNT_UNTOLD] = "untold",
	[RF_COUNT_RAN_NS] = "ran_ns",
};

/* Read from /proc/self/statm, opened before the sandbox closed. */
int rf_statm_fd = -1;

long rf_rss_kib(void)
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

/* Allowed patches by kind, and how many sites are half way right now. */
static json_t *patches(struct rf_guest *g, json_int_t *under_way)
{
	json_t *o = json_object();
	struct rf_patching now = { 0 };

	if (g->hv && g->hv->ops->trail)
		g->hv->ops->trail(g->hv, &now);
	for (int k = 1; k < RF_SITE_KINDS; k++)
		json_object_set_new(o, rf_site_kind_text((enum rf_site_kind)k),
				    json_integer((json_int_t)now.kinds[k]));
	*under_way = now.count;
	return o;
}

/* "ftrace, kprobes", "" where all may patch. */
static const char *patches_denied(const struct rf_policy *p, char *out, size_t room)
{
	size_t len = 0;

	*out = '\0';
	for (int w = 0; w < RF_PATCH_WORDS && len < room; w++)
		if (p->patches[w] == RF_PATCH_RULE_DENY)
			len += (size_t)snprintf(out + len, room - len, "%s%s", len ? ", " : "",
						rf_patch_word_text((enum rf_patch_word)w));
	return out;
}

/* Why no vCPU runs, "" where they may. */
static const char *why_halted(const struct rf_guest *g, const struct rf_backend_info *info)
{
	if (info->state != RF_VM_HALTED)
		return "";
	return g->halted ? g->halted
			 : "an earlier monitor has heard why, or this one is about to: see the "
			   "log's last records of kinds load and measure";
}

/* What has to happen before a vCPU runs, "" where they do. */
static const char *awaiting(const struct rf_guest *g, bool attached,
			    const struct rf_backend_info *info)
{
	if (!attached && g->vmm_pid)
		return "the VMM, which an earlier monitor had, and which has not taken this one: "
		       "what was sealed stays sealed, and what needs a verdict waits";
	if (!attached)
		return "the VMM, which has not made its VM yet, or has not found this monitor, "
		       "which has "
		       "just taken over";
	if (info->state != RF_VM_BOOTING)
		return "";
	if (g->awaiting)
		return "the kernel that the VMM loaded: it is sealed before any vCPU runs";
	return info->counters[RF_COUNT_RUN]
		       ? ""
		       : "the VMM, which has run no vCPU yet (it starts, or is to load a guest)";
}

static json_t *status(struct rf_guest *g)
{
	json_int_t under_way;
	json_t *allowed = patches(g, &under_way);
	json_t *regions = json_array(), *counters = json_object(), *audit = json_object();
	struct rf_backend_info info = { 0 };
	bool attached = g->hv && !g->hv->ops->info(g->hv, &info);
	char pinned[RF_CONTROL_NAMES], denied[80];
	/* While its messages wait for room in the log, it is not the fence that is silent. */
	bool listens = attached && g->hv->ops->silence && !rf_messages_wait(g);
	uint64_t silence = listens ? g->hv->ops->silence(g->hv) : 0;

	rf_control_names(info.cr0_pinned, info.cr4_pinned, pinned, sizeof(pinned));

	for (uint32_t i = 0; i < g->regions_count; i++) {
		const struct rf_measured *m = &g->regions[i];

		json_array_append_new(
			regions, json_pack("{s:s, s:o, s:o, s:I, s:s}", "kind",
					   rf_region_text(m->region.kind), "gva",
					   hex(m->region.gva), "gpa", hex(m->region.gpa), "size",
					   (json_int_t)m->region.size, "sha256", m->sha256));
	}
	for (int i = 0; i < RF_COUNTERS; i++)
		json_object_set_new(counters, counter_names[i],
				    json_integer((json_int_t)info.counters[i]));
	for (enum rf_word w = RF_WORD_ALLOWED; g->audit && w <= RF_WORD_DETECTED; w++)
		json_object_set_new(
			audit, rf_word_text(w),
			json_integer((json_int_t)(rf_audit_count(g->audit, w) + g->counted[w])));
	return json_pack(
		"{s:s, s:I, s:s, s:s, s:I, s:o, s:o, s:o, s:f, s:f, s:I, s:I, s:I, s:I, s:o, s:I, "
		"s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:o, s:o, "
		"s:o, s:o, s:o, s:s, s:I, s:o, s:f, s:b}",
		"name", g->name, "vmm_pid", (json_int_t)info.vmm_pid, "state",
		!attached && g->vmm_pid			 ? "monitor lost"
		: !attached || info.state > RF_VM_HALTED ? "waiting"
		: g->unknown				 ? "unprotected"
							 : state_names[info.state],
		"kernel", g->kernel ? rf_kernel_banner(g->kernel) : "", "vcpus",
		(json_int_t)info.vcpus, "regions", regions, "counters", counters, "audit", audit,
		"discovery_ms", (double)g->discovery_ns / 1e6, "seal_ms",
		(double)info.seal_ns / 1e6, "monitor_pid", (json_int_t)getpid(), "monitor_rss_kib",
		(json_int_t)rf_rss_kib(), "private_copy_kib", (json_int_t)(info.copy_bytes / 1024),
		"dma_sweeps", (json_int_t)g->sweeps, "patches", allowed, "patches_under_way",
		under_way, "control_watch", rf_watched_text(g, info.cr_watch), "control_pinned",
		pinned, "trap_sites", (json_int_t)g->traps_count, "halted", why_halted(g, &info),
		"awaiting", awaiting(g, attached, &info), "mode",
		rf_policy_mode_text(g->policy.mode), "on_denied",
		rf_on_denied_text(g->policy.on_denied), "patches_denied",
		patches_denied(&g->policy, denied, sizeof(denied)), "on_denied_patch",
		rf_on_denied_patch_text(g->policy.on_denied_patch), "on_kexec",
		rf_on_kexec_text(g->policy.on_kexec), "on_mismatch",
		rf_on_mismatch_text(g->policy.on_mismatch), "expect", g->expect != NULL,
		"on_unknown_kernel", rf_on_unknown_kernel_text(g->policy.on_unknown_kernel),
		"unprotected", g->unprotected, "guards",
		g->regions_count ? rf_guards_status(g) : json_object(), "sweeper",
		rf_pair_status(g), "sites_left_out", rf_left_out_status(g), "policy",
		rf_keys_json(&g->policy), "log", rf_record_status(g), "on_log_full",
		rf_on_log_full_text(g->policy.on_log_full), "log_quota_mb",
		(json_int_t)g->policy.log_quota_mb, "reloads", rf_reload_status(g),
		"fence_silent_s", (double)silence / 1e9, "fence_silent",
		silence >= FENCE_SILENT_NS);
}

/* A command that is a guard's. Nothing can be looked at while what the VMM loaded does not go with
 * what is sealed. */
static void ask(struct rf_guest *g, const struct rf_guard *guard, int client)
{
	struct rf_backend_info info;
	int err;

	if (g->hv && !g->hv->ops->info(g->hv, &info) && info.state == RF_VM_HALTED) {
		if (guard->forget)
			guard->forget(g);
		rf_reply(client,
			 json_pack("{s:s, s:b}", "error", why_halted(g, &info), "halted", 1));
		return;
	}
	if (g->unknown) {
		rf_reply(client,
			 json_pack("{s:s, s:b}", "error", g->unprotected, "unprotected", 1));
		return;
	}
	err = rf_pair_ask(g, guard, client);
	if (!err)
		return;
	if (err == -EAGAIN) {
		rf_reply_not_yet(client);
		return;
	}
	rf_reply(client, rf_guards_reply(g, guard));
}

/* True: the client is kept, and answered by who does what it asks for. */
static bool answer(struct rf_guest *g, int fd, const char *line, size_t len)
{
	json_t *request = json_loadb(line, len, JSON_DISABLE_EOF_CHECK, NULL);
	const char *cmd = json_string_value(json_object_get(request, "cmd")) ?: "";
	const struct rf_guard *guard = rf_guards_command(cmd);
	bool kept = false;

	g->asked = (struct rf_asked){
		.at = (uint64_t)json_integer_value(json_object_get(request, "at")),
		.pages = (uint32_t)json_integer_value(json_object_get(request, "pages")),
	};
	/* What is not said is no question for the map. */
	if (!json_is_integer(json_object_get(request, "pages")))
		g->asked.pages = UINT32_MAX;

	if (!strcmp(cmd, "status"))
		rf_reply(fd, status(g));
	else if (!strcmp(cmd, "rotate") || !strcmp(cmd, "rotate-moved"))
		kept = rf_rotate_ask(g, fd, strcmp(cmd, "rotate"));
	else if (guard)
		ask(g, guard, fd);
	else
		rf_reply(fd, json_pack("{s:s}", "error", "unknown command"));
	json_decref(request);
	return kept;
}

static void forget(struct rf_status *s, unsigned int i)
{
	memmove(&s->clients[i], &s->clients[i + 1], (--s->count - i) * sizeof(s->clients[0]));
}

static void drop(struct rf_status *s, unsigned int i)
{
	close(s->clients[i].fd);
	forget(s, i);
}

int rf_status_init(struct rf_status *s, int listen_fd)
{
	*s = (struct rf_status){ .listen_fd = listen_fd };
	return listen_fd < 0 || !fcntl(listen_fd, F_SETFL, O_NONBLOCK) ? 0 : -errno;
}

nfds_t rf_status_poll(const struct rf_status *s, struct pollfd *p)
{
	p[0] = (struct pollfd){ .fd = s->listen_fd, .events = POLLIN };
	for (unsigned int i = 0; i < s->count; i++)
		p[i + 1] = (struct pollfd){ .fd = s->clients[i].fd, .events = POLLIN };
	return s->count + 1;
}

void rf_status_serve(struct rf_guest *g, struct rf_status *s)
{
	uint64_t now = rf_now_ns();
	char line[1024];
	int fd;

	for (int i = 0; i < RF_STATUS_CLIENTS; i++) {
		fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			break;
		/* Who connects writes at once; of those who do not, the first has waited
		 * longest. */
		if (s->count == RF_STATUS_CLIENTS)
			drop(s, 0);
		s->clients[s->count].fd = fd;
		s->clients[s->count++].until = now + CLIENT_NS;
	}
	for (unsigned int i = s->count; i--;) {
		ssize_t n = recv(s->clients[i].fd, line, sizeof(line), 0);

		if (n > 0 && answer(g, s->clients[i].fd, line, (size_t)n))
			forget(s, i);
		else if (n >= 0 || (errno != EAGAIN && errno != EINTR) || now > s->clients[i].until)
			drop(s, i);
	}
}
