// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ringfence-monitor: one per VM, started by `ringfence run` (or a service manager) with its sockets
 * and its log already open. It serves one VMM and ends with it; killed, it is started again and
 * takes over where the fence holds.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/messages.h"
#include "monitor/rotate.h"
#include "monitor/sandbox.h"
#include "policy/chain.h"
#include "policy/file.h"
#include "policy/note.h"
#include "policy/foldlog.h"

#define POLL_MS 10 /* while rf_guest_poll() waits for the page tables */

struct options {
	const char *policy, *expect, *key, *policy_key;
	int policy_fd, expect_fd, key_fd,
		policy_key_fd; /* opened before the sandbox closes; -1: not given */
	int fence_fd, control_fd, audit_fd, patches_fd;
	int lock_fd;   /* kept open: the VM's name is taken for as long */
	int chain_fd;  /* where the chain of the log's lines stands */
	int fold_fd;   /* memory that outlives this monitor; -1 none */
	int before_fd; /* the file that the log was in before, 0 none */
	int logs_fd;   /* new files for the logs come there, 0 none */
	int pair_fd;   /* to the sweeper; the sweeper's, to the monitor */
	int reload_fd; /* to `run`, for other policies */
	bool sweeper;
	long long uid, gid; /* what the monitor becomes, -1: it stays what it is */
	char boot_id[RF_AUDIT_BOOT_ID];
	struct rf_note_key note_key;   /* signs the log's checkpoints */
	struct rf_note_key reload_key; /* public: who signs policies that loosen */
};

static int number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	return *end || n < 0 || n > 65535 ? -1 : (int)n;
}

static bool count(const char *text, uint64_t most, uint64_t *out)
{
	int end = 0;

	return sscanf(text, "%20" SCNu64 "%n", out, &end) == 1 && !text[end] && *out <= most;
}

/* UID:GID, of somebody but root. */
static bool user(const char *text, long long *uid, long long *gid)
{
	int end = 0;

	return sscanf(text, "%10lld:%10lld%n", uid, gid, &end) == 2 && !text[end] && *uid > 0 &&
	       *gid > 0 && *uid < UINT32_MAX && *gid < UINT32_MAX;
}

static int parse(int argc, char **argv, struct options *o, struct rf_guest *g)
{
	static const struct option longs[] = {
		{ "name", required_argument, NULL, 'n' },
		{ "fence-fd", required_argument, NULL, 'f' },
		{ "control-fd", required_argument, NULL, 'c' },
		{ "audit-fd", required_argument, NULL, 'a' },
		{ "patches-fd", required_argument, NULL, 't' },
		{ "audit-before-fd", required_argument, NULL, 'B' },
		{ "logs-fd", required_argument, NULL, 'L' },
		{ "lock-fd", required_argument, NULL, 'K' },
		{ "vmm-pid", required_argument, NULL, 'v' },
		{ "chain-fd", required_argument, NULL, 'k' },
		{ "audit-key", required_argument, NULL, 'g' },
		{ "fold-fd", required_argument, NULL, 'o' },
		{ "notify-fd", required_argument, NULL, 'y' },
		{ "sweeper-fd", required_argument, NULL, 's' },
		{ "sweep-for", required_argument, NULL, 'm' },
		{ "policy", required_argument, NULL, 'p' },
		{ "reload-fd", required_argument, NULL, 'r' },
		{ "policy-key", required_argument, NULL, 'i' },
		{ "policy-serial", required_argument, NULL, 'l' },
		{ "reloads", required_argument, NULL, 'd' },
		{ "expect", required_argument, NULL, 'e' },
		{ "user", required_argument, NULL, 'u' },
		{ 0 },
	};
	uint64_t reloads, vmm;
	int c;

	*o = (struct options){ .policy_fd = -1,
			       .expect_fd = -1,
			       .key_fd = -1,
			       .policy_key_fd = -1,
			       .reload_fd = -1,
			       .fence_fd = -1,
			       .lock_fd = -1,
			       .control_fd = -1,
			       .audit_fd = -1,
			       .patches_fd = -1,
			       .chain_fd = -1,
			       .fold_fd = -1,
			       .pair_fd = -1,
			       .uid = -1,
			       .gid = -1 };
	g->notify_fd = -1;
	snprintf(g->name, sizeof(g->name), "vm");
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'n':
			/* It goes into each line and each answer. */
			if (!rf_name_valid(optarg))
				return -EINVAL;
			strcpy(g->name, optarg);
			break;
		case 'f':
			o->fence_fd = number(optarg);
			break;
		case 'c':
			o->control_fd = number(optarg);
			break;
		case 'a':
			o->audit_fd = number(optarg);
			break;
		case 't':
			o->patches_fd = number(optarg);
			break;
		case 'B':
			o->before_fd = number(optarg);
			if (o->before_fd <= STDERR_FILENO)
				return -EINVAL;
			break;
		case 'L':
			o->logs_fd = number(optarg);
			if (o->logs_fd <= STDERR_FILENO)
				return -EINVAL;
			break;
		case 'v':
			if (!count(optarg, INT32_MAX, &vmm))
				return -EINVAL;
			g->vmm_pid = (uint32_t)vmm;
			break;
		case 'K':
			o->lock_fd = number(optarg);
			break;
		case 'k':
			o->chain_fd = number(optarg);
			break;
		case 'g':
			o->key = optarg;
			break;
		case 'o':
			o->fold_fd = number(optarg);
			if (o->fold_fd <= STDERR_FILENO)
				return -EINVAL;
			break;
		case 'y':
			g->notify_fd = number(optarg);
			break;
		case 'm':
			o->sweeper = true;
			/* fallthrough */
		case 's':
			o->pair_fd = number(optarg);
			if (o->pair_fd <= STDERR_FILENO)
				return -EINVAL;
			break;
		case 'p':
			o->policy = optarg;
			break;
		case 'r':
			o->reload_fd = number(optarg);
			if (o->reload_fd <= STDERR_FILENO)
				return -EINVAL;
			break;
		case 'i':
			o->policy_key = optarg;
			break;
		case 'l':
			if (!count(optarg, UINT64_MAX, &g->reload.serial))
				return -EINVAL;
			break;
		case 'd':
			if (!count(optarg, UINT32_MAX, &reloads))
				return -EINVAL;
			g->reload.count = (uint32_t)reloads;
			break;
		case 'e':
			o->expect = optarg;
			break;
		case 'u':
			if (!user(optarg, &o->uid, &o->gid))
				return -EINVAL;
			break;
		default:
			return -EINVAL;
		}
	}
	if (optind != argc)
		return -EINVAL;
	if (o->sweeper)
		return o->fence_fd < 0 && o->audit_fd < 0 && o->control_fd < 0 &&
				       o->patches_fd < 0 && o->chain_fd < 0 && o->fold_fd < 0 &&
				       o->reload_fd < 0 && o->lock_fd < 0 && !o->before_fd &&
				       !o->logs_fd && !o->expect && !o->key && !o->policy_key
			       ? 0
			       : -EINVAL;
	/* Who signs must know what was written: the file does not say. */
	if (o->key && o->chain_fd < 0)
		return -EINVAL;
	return o->fence_fd >= 0 && o->audit_fd >= 0 ? 0 : -EINVAL;
}

/* Answers the control socket until a VMM says something, or nobody is left who could. */
static void wait_for_vmm(struct rf_guest *g, int fence_fd, struct rf_status *status)
{
	struct pollfd p[RF_STATUS_CLIENTS + 2] = { { .fd = fence_fd, .events = POLLIN } };

	do {
		if (poll(p, 1 + rf_status_poll(status, p + 1),
			 status->count ? RF_TICK_MS : RF_ALIVE_NS / 1000000) < 0)
			p[0].revents = 0;
		rf_alive(g);
		rf_status_serve(g, status);
	} while (!p[0].revents);
}

/* What only root may open, and what is below a folder that only root may enter, is opened here. */
static int open_files(struct rf_guest *g, struct options *o)
{
	int err = o->fold_fd >= 0 ? rf_fold_map(o->fold_fd, &g->fold) : 0;

	if (err) {
		rf_complain(g, "--fold-fd is not such memory: %s", strerror(-err));
		return err;
	}
	if (o->policy)
		o->policy_fd = rf_file_open(o->policy);
	if (o->policy_fd < -1)
		rf_complain(g, "the policy cannot be opened: %s", strerror(-o->policy_fd));
	if (o->expect)
		o->expect_fd = rf_file_open(o->expect);
	if (o->expect_fd < -1)
		rf_complain(g, "what is expected cannot be opened: %s", strerror(-o->expect_fd));
	if (o->key)
		o->key_fd = rf_file_open(o->key);
	if (o->key_fd < -1)
		rf_complain(g, "the audit key cannot be opened: %s", strerror(-o->key_fd));
	if (o->policy_key)
		o->policy_key_fd = rf_file_open(o->policy_key);
	if (o->policy_key_fd < -1)
		rf_complain(g, "the policy key cannot be opened: %s", strerror(-o->policy_key_fd));
	json_object_seed(0); /* from a file, and with the first object if it is not done */
	rf_statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	rf_audit_boot_id(o->boot_id);
	return (o->policy && o->policy_fd < 0) || (o->expect && o->expect_fd < 0) ||
			       (o->key && o->key_fd < 0) || (o->policy_key && o->policy_key_fd < 0)
		       ? -EINVAL
		       : 0;
}

static int load_key(struct rf_guest *g, struct options *o)
{
	char text[RF_NOTE_KEY_TEXT];
	size_t len;
	int err = rf_file_take(o->key_fd, text, sizeof(text), &len);

	if (!err)
		err = rf_note_secret_parse(text, len, &o->note_key);
	if (err)
		rf_complain(g, "the audit key is none: %s", strerror(-err));
	sodium_memzero(text, sizeof(text));
	return err;
}

static int load_policy_key(struct rf_guest *g, struct options *o)
{
	char text[RF_NOTE_KEY_TEXT];
	size_t len;
	int err = rf_file_take(o->policy_key_fd, text, sizeof(text), &len);

	if (!err)
		err = rf_note_public_parse(text, len, &o->reload_key);
	if (err)
		rf_complain(g, "the policy key is no public key: %s", strerror(-err));
	else
		g->reload.key = &o->reload_key;
	return err;
}

/* The policy, the keys, and the measurement of what is to arrive. 0 or -errno, told. */
static int load_files(struct rf_guest *g, struct options *o)
{
	static char text[RF_MEASUREMENT_FILE_MAX + RF_POLICY_FILE_MAX + 1];
	static struct rf_measurement expect;
	struct rf_policy_diag diag = { 0 };
	char why[RF_MEASUREMENT_WHY] = "";
	size_t len;
	int err = 0;

	rf_policy_default(&g->policy);
	if (o->policy) {
		err = rf_file_take(o->policy_fd, text, sizeof(text), &len);
		if (!err)
			err = rf_policy_parse(text, len, &diag, &g->policy);
		if (err)
			rf_complain(g, "the policy is not valid: %s",
				    diag.text[0] ? diag.text : strerror(-err));
		else
			rf_policy_sha256(text, len, g->reload.sha256);
	}
	if (!err && o->policy_key)
		err = load_policy_key(g, o);
	if (!err && o->key)
		err = load_key(g, o);
	if (err || !o->expect)
		return err;
	err = rf_file_take(o->expect_fd, text, sizeof(text), &len);
	if (!err)
		err = rf_measurement_parse(text, len, why, &expect);
	if (err)
		rf_complain(g, "what is expected is no valid measurement: %s",
			    why[0] ? why : strerror(-err));
	else
		g->expect = &expect;
	return err;
}

/* The log, and behind which line of it the chain stands. 0 or -errno. */
static int open_log(struct rf_guest *g, const struct options *o, uint64_t instance)
{
	struct rf_audit_setup setup = { .vm = g->name,
					.instance = instance,
					.boot_id = o->boot_id,
					.before_fd = o->before_fd,
					.key = o->key ? &o->note_key : NULL };
	int err = o->chain_fd < 0 ? 0 : rf_chain_take(o->chain_fd, &setup.chain, &setup.chain_anew);

	if (err)
		return err;
	if (setup.chain_anew)
		rf_complain(g, "--chain-fd is no such memory any more: the chain goes on behind "
			       "the log's last line of this VM");
	if (o->chain_fd >= 0)
		close(o->chain_fd);
	return rf_audit_open_setup(o->audit_fd, &setup, &g->audit);
}

/* A descriptor that is readable once that process has ended, whoever else holds its socket. */
static int watch_vmm(uint32_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

/* A socket that is closed is no end of a process: what it has open goes first, then itself. */
static bool lives(struct rf_guest *g, struct rf_status *status, int vmm)
{
	struct pollfd p[RF_STATUS_CLIENTS + 2] = { { .fd = vmm, .events = POLLIN } };
	uint64_t until = rf_now_ns() + RF_MESSAGES_END_NS;

	while (vmm >= 0 && !p[0].revents && rf_now_ns() < until) {
		if (poll(p, 1 + rf_status_poll(status, p + 1), POLL_MS) < 0)
			p[0].revents = 0;
		rf_alive(g);
		rf_status_serve(g, status);
	}
	return vmm >= 0 && !p[0].revents;
}

/* 0 when the VM is gone, RF_RELOADED when the next monitor is to go on, -errno when the connection
 * makes no sense any more. */
static int serve(struct rf_guest *g, struct rf_status *status, int vmm)
{
	bool more = false;

	for (;;) {
		bool paired = g->pair.fd && !g->pair.shut;
		struct pollfd p[RF_STATUS_CLIENTS + 6] = {
			{ .fd = g->hv->ops->poll_fd(g->hv),
			  .events = rf_messages_wait(g) ? 0 : POLLIN },
			{ .fd = vmm, .events = POLLIN },
			{ .fd = paired ? g->pair.fd : -1, .events = POLLIN },
			{ .fd = g->logs_fd ? g->logs_fd : -1, .events = POLLIN },
			{ .fd = g->reload.fd ? g->reload.fd : -1, .events = POLLIN },
		};
		int err, ms = more || rf_guards_busy(g) ? 0
			      : g->poll_permissions	? POLL_MS
							: RF_TICK_MS;

		poll(p, 5 + rf_status_poll(status, p + 5), ms);
		/* Its last words are read; a child of the VMM's that has the socket adds none. */
		if (p[1].revents)
			shutdown(p[0].fd, SHUT_RDWR);
		rf_alive(g);
		if (g->hv->ops->silence && !rf_messages_wait(g))
			g->hv->ops->silence(g->hv);
		/* Who waits for an answer, or was to end, is gone. */
		if (rf_messages_wait(g) && (p[1].revents || p[0].revents & (POLLHUP | POLLERR)))
			return 0;
		err = rf_messages_take(g, &more);
		if (err)
			return err == -ECONNRESET ? 0 : err;
		rf_status_serve(g, status);
		rf_rotate_take(g);
		rf_record_flush(g, false);
		if (g->killed_ns)
			continue; /* nothing more is asked of it either */
		err = rf_reload_take(g);
		if (err)
			return err;
		err = rf_pair_take(g);
		if (!err)
			err = rf_guest_poll(g);
		if (!err)
			err = rf_guards_tick(g);
		if (!err)
			err = rf_guards_step(g);
		rf_record_tick(g);
		if (!err && !g->pair.fd)
			err = rf_guards_sweep(g);
		if (err)
			return err;
	}
}

/* Whoever waits for the other one, it is not the monitor. */
static int pair(struct rf_guest *g, const struct options *o)
{
	g->pair.fd = o->pair_fd;
	g->pair.sweeper = o->sweeper;
	return o->sweeper || !fcntl(o->pair_fd, F_SETFL, O_NONBLOCK) ? 0 : -errno;
}

int main(int argc, char **argv)
{
	struct rf_guest g = { 0 };
	struct rf_backend_info info;
	struct rf_rules rules;
	struct rf_status status;
	struct options o;
	const char *why = "";
	int vmm = -1, err;

	rf_report_begin();
	if (parse(argc, argv, &o, &g)) {
		fprintf(stderr,
			"usage: ringfence-monitor --fence-fd N --audit-fd N [--chain-fd N] "
			"[--patches-fd N] [--audit-before-fd N] [--logs-fd N] [--lock-fd N] "
			"[--vmm-pid N] "
			"[--fold-fd N] "
			"[--control-fd N] [--sweeper-fd N] "
			"[--notify-fd N] [--name NAME] "
			"[--reload-fd N] [--policy FILE] [--reloads N] [--policy-key FILE] "
			"[--policy-serial N] [--expect FILE] [--audit-key FILE] [--user UID:GID]\n"
			"       ringfence-monitor --sweep-for N [--notify-fd N] [--name NAME] "
			"[--policy FILE] [--user UID:GID]\n"
			"It is started by `ringfence run`; see ringfence-monitor(8).\n");
		return 2;
	}
	/* A peer that is gone, a log at its size limit: errors to be told, not the end of who
	 * judges. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (open_files(&g, &o))
		return 2;
	const int keep[] = { o.fence_fd,  o.control_fd, o.audit_fd,  o.patches_fd,
			     o.chain_fd,  g.notify_fd,	o.policy_fd, o.expect_fd,
			     o.key_fd,	  o.pair_fd,	o.reload_fd, o.policy_key_fd,
			     rf_statm_fd, o.before_fd,	o.logs_fd,   o.lock_fd };

	err = rf_sandbox_keep(keep, sizeof(keep) / sizeof(keep[0]));
	if (!err)
		err = rf_sandbox_drop(o.uid, o.gid);
	if (!err)
		err = rf_sandbox_start();
	if (err) {
		rf_complain(&g, "the %s could not be confined: %s (see `ringfence doctor`)",
			    o.sweeper ? "sweeper" : "monitor", strerror(-err));
		return 1;
	}
	if (load_files(&g, &o))
		return 2;
	rules = (struct rf_rules){
		.observe = g.policy.mode == RF_MODE_OBSERVE,
		.kexec = g.policy.on_kexec == RF_ON_KEXEC_REARM,
		.unsealed_ms = g.policy.unsealed_alert_ms,
	};
	g.logs_fd = o.logs_fd;
	rf_unit_memory(&g);
	err = rf_status_init(&status, o.control_fd);
	if (!err && o.pair_fd >= 0)
		err = pair(&g, &o);
	if (o.reload_fd >= 0)
		g.reload.fd = o.reload_fd;
	if (!err && (sodium_init() < 0 || rf_disasm_create(&g.disasm)))
		err = -ENOMEM;
	if (err) {
		rf_complain(&g, "the %s could not be set up: %s", o.sweeper ? "sweeper" : "monitor",
			    strerror(-err));
		return 1;
	}
	if (o.sweeper) {
		err = rf_sweeper_run(&g);
		if (err)
			rf_complain(&g, "the sweeper ends: %s", strerror(-err));
		return err ? 1 : 0;
	}
	rf_notify(&g, "ready");

	wait_for_vmm(&g, o.fence_fd, &status);
	err = rf_backend_kvm_attach(o.fence_fd, &rules, &g.hv, &why);
	if (err == -ECONNRESET) /* it ended without a VM, or the next monitor has its VM */
		return 0;
	if (err) {
		rf_complain(&g, "a VMM was refused: %s", why);
		return 1;
	}
	err = g.hv->ops->info(g.hv, &info);
	if (!err && g.vmm_pid && info.vmm_pid != g.vmm_pid) {
		rf_complain(&g, "process %u is not the VMM that an earlier monitor had, %u",
			    info.vmm_pid, g.vmm_pid);
		return 1;
	}
	if (!err)
		err = open_log(&g, &o, info.instance);
	if (!err)
		err = rf_record_begin(&g, info.instance);
	if (!err)
		err = rf_reload_begin(&g, info.next_event <= 1);
	if (!err && o.patches_fd >= 0)
		err = rf_patchlog_open_fd(o.patches_fd, info.instance, &g.patchlog);
	if (!err && g.hv->ops->table)
		g.table = g.hv->ops->table(g.hv);
	if (!err) {
		vmm = watch_vmm(info.vmm_pid);
		err = vmm < 0 && vmm != -ESRCH ? vmm : 0; /* gone: its socket says so too */
	}
	if (!err)
		err = rf_sandbox_attached(o.control_fd, true);
	if (err) {
		rf_complain(&g, "the monitor could not be set up: %s", strerror(-err));
		return 1;
	}
	rf_notify(&g, "attached %u", info.vmm_pid);
	rf_sequence_begin(&g.sequence, &info);
	err = rf_guest_resume(&g);
	if (!err)
		err = serve(&g, &status, vmm);
	if (!err && lives(&g, &status, vmm)) {
		rf_note(&g, "monitor", "the fence has hung up", "and its VMM lives");
		rf_complain(&g, "the fence has hung up, and its VMM lives");
		err = -ENOTCONN;
	}
	rf_messages_give_up(&g, err);
	rf_guest_forget(&g); /* what the VM's last moments left on the trail is written down */
	rf_record_flush(&g, true);
	if (!err)
		rf_record_end(&g);
	if (err < 0) {
		rf_complain(&g, "the monitor ends: %s", strerror(-err));
		return 1;
	}
	return 0;
}
