/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `ringfence run`, in its parts: checks (run_check.c), files (run_files.c), state (run_state.c,
 * run_folder.c), how VMM and monitors meet (run_link.c), logs (run_open.c), the host's
 * control-register watch (run_control.c), the caller's descriptors (run_fds.c), child processes
 * (run_spawn.c, run_child.c), a VMM that is only asked something (run_ask.c), another
 * policy meanwhile (run_reload.c), what the last monitor leaves (run_counted.c), new files for the
 * logs (run_rotate.c) and the watch over them (run_watch.c).
 */
#ifndef RF_CLI_RUN_H
#define RF_CLI_RUN_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/options.h"
#include "cli/policy_file.h"
#include "cli/safe_file.h"
#include "cli/vmm_asks.h"
#include "cli/vmm_fds.h"
#include "hv/bpf/crwatch.h"
#include "policy/note.h"

/* So many times an hour the logs are moved because the monitor says that a client has asked. */
#define RF_RUN_MOVES 12

/* What it makes in the state folder, in the order in which it goes again: the lock says that the
 * others are ours. */
enum rf_run_file { RF_RUN_CONTROL, RF_RUN_RELOAD, RF_RUN_VM, RF_RUN_LOCK, RF_RUN_FILES };

/* The VM's place in the host's control-register watch. */
struct rf_run_control {
	struct rf_crwatch watch;     /* of root alone */
	int service;		     /* of others: the connection to `ringfence watch`, -1 none */
	unsigned int unheard;	     /* looks in a row to which it has said nothing */
	struct rf_crwatch_page page; /* its map is the VMM's too, which inherits it */
	bool lost;		     /* it was on, and is not any more */
	bool untold;		     /* a loss that the monitor has not heard of */
	int64_t look_at, again_at;   /* ms; when to look next, and when to try to put it back */
	char why[RF_CRWATCH_WHY];    /* it is lost */
	char untold_why[RF_CRWATCH_WHY];
};

#define RF_RUN_CONTROL_NONE                                                                        \
	((struct rf_run_control){                                                                  \
		.watch = RF_CRWATCH_NONE, .service = -1, .page = RF_CRWATCH_NO_PAGE })

struct rf_run {
	/* What was asked for. */
	const char *name, *policy, *policy_key, *expect, *audit, *audit_key, *state, *kvm;
	uint32_t start_timeout;	    /* seconds */
	uint32_t monitor_timeout;   /* seconds, 0 none */
	struct rf_option_list pass; /* numbers of descriptors for the VMM */
	char **command;		    /* NULL-terminated: the VMM and its arguments */
	uint32_t messages_fd;	    /* where ours go, 0 standard error */

	/* Of the policy. */
	struct rf_policy now; /* in force */
	struct rf_policy_origin origin;
	struct rf_note_key reload_key; /* with policy_key: who may loosen it */
	uint64_t serial;	       /* of the last signed one, 0 none */
	uint32_t reloads;	       /* policies that came after the first one */
	uint64_t log_quota;	       /* bytes of the audit log, 0 any */
	bool log_may_lack;	       /* on_log_full: continue */

	/* What was found and made. Descriptors are -1 until they are open, and closed in every
	 * child but as said. */
	char program[PATH_MAX], library[PATH_MAX], monitor[PATH_MAX];
	char state_dir[PATH_MAX], audit_path[PATH_MAX];
	struct rf_folder above, folder; /* the state folder, and what it stands in */
	char folder_name[NAME_MAX + 1]; /* there */
	struct rf_made made[RF_RUN_FILES];
	int held_fd; /* the folder, locked as what ages: see rf_run_folder_open() */
	int lock_fd; /* the monitor has it too: the name is taken until the last record is written
		      */
	int link[2]; /* by which the VMM gets its monitors: our end, and the VMM's */
	int meet[2]; /* of the monitor that is started, and the VMM's, until both have them */
	int control_fd; /* listening; the monitor gets a duplicate, so no connection is lost with it
			 */
	int reload_fd;	/* listening, and heard here */
	int audit_fd;	/* the monitor gets it */
	int audit_before_fd;  /* the file that the log was in before; a monitor that starts gets it,
				 too, for a while */
	int64_t before_until; /* CLOCK_MONOTONIC ms */
	int64_t moved_ms;     /* when logs were moved last, 0 never */
	/* When they were because the monitor has said so, 0 never; the oldest one is next. */
	int64_t asked_ms[RF_RUN_MOVES];
	unsigned int asked;
	int64_t rotating_ms;	    /* since when it is */
	int64_t away_ms, looked_ms; /* the log is not where it was, 0 it is; as it was last seen */
	int next_audit_fd, next_patches_fd; /* which the monitor is about to go on in */
	bool rotating;
	int logs[2];	   /* the monitor's end, and ours, by which it gets these */
	uint64_t reserved; /* up to here the audit log has room of its own */
	int chain_fd;	/* memory with where the audit log's chain stands; each monitor gets it */
	int fold_fd;	/* the same in which each counts what it does not write */
	int patches_fd; /* log of allowed patches, beside the audit log; the monitor gets it */
	int policy_fd;	/* memfd with the policy in force, as it was when it was taken; the monitor
			   gets it. -1: none */
	int policy_key_fd; /* the same of the key that may loosen it */
	int expect_fd;	   /* the same of the measurement of what is to arrive */
	int key_fd;	   /* the same of the key that signs the log */
	struct rf_run_control control;
	unsigned int paused; /* the VMM, an enum rf_paused each */
	int pair[2];   /* the monitor's end, and its sweeper's: ours too, so that either outlives
			  the other one's death */
	int orders[2]; /* to the monitor that lives, -1 none; its end, until it has it */
	bool deaf;     /* the monitor that lives takes nothing that is sent to it: it hangs */
	struct rf_fd_set passed; /* the caller's, for the VMM: here until it is started */
	pid_t vmm;		 /* 0: not started */
	pid_t attached;		 /* the same once a monitor has had it, 0 not yet */
	long long started;	 /* the VMM, seconds since 1970 */
	char monitor_user[32];	 /* UID:GID of the monitors, "" this process's */
};

void rf_run_init(struct rf_run *r);
/* Closes everything, removes what rf_run_prepare() made but the log. */
void rf_run_deinit(struct rf_run *r);

/* This policy is in force from here on. */
void rf_run_take(struct rf_run *r, const struct rf_policy *p);
/* A sealed memfd with these bytes, or -errno. */
int rf_run_keep(const char *name, const char *bytes, size_t len);
/* Reads what files say, and keeps what they said. An enum rf_exit, reported. */
int rf_run_files(struct rf_run *r);

/* Sets the host's watch up, as policy wants it. An enum rf_exit, reported. */
int rf_run_control(struct rf_run *r);
/* In the child that becomes the VMM. 0 or -errno. */
int rf_run_control_enter(struct rf_run *r);
/*
 * Once a second, while there is a VMM: is it still watched? If not that is said, told to the
 * monitor that serves, and put right as soon as it can be; where policy requires the watch the VMM
 * is stopped until then.
 */
void rf_run_control_look(struct rf_run *r, pid_t vmm, bool serves);
/* Another monitor has its VMM: it is told at once how that stands. */
void rf_run_control_serves(struct rf_run *r);
/* When that is due: `until` at the latest; ms. */
int64_t rf_run_control_due(const struct rf_run *r, int64_t until);
/* The VMM has ended and is not reaped yet: nobody else has its id. */
void rf_run_control_leave(struct rf_run *r, pid_t vmm);

/* --- run_pause.c: the VMM's process, which is not reaped yet, stands still (SIGSTOP) ---- */
enum rf_paused {
	RF_PAUSED_WATCH = 1 << 0, /* until the control-register watch is back */
	RF_PAUSED_CHECK = 1 << 1, /* until somebody resumes it */
};
/* False: it does not. */
bool rf_run_pause(struct rf_run *r, pid_t vmm, enum rf_paused why);
/* It goes on, unless it is paused for something else. */
void rf_run_resume(struct rf_run *r, pid_t vmm, enum rf_paused why);
/* It hears no signal then but SIGKILL. */
bool rf_run_is_paused(struct rf_run *r, pid_t vmm);

/* Closes what the caller has open and the VMM is not to have. First of all. An enum rf_exit,
 * reported. */
int rf_run_fds(struct rf_run *r);
/* The others go through exec, in the process that becomes the VMM. 0 or -errno. */
int rf_run_fds_pass(const struct rf_run *r);
/* The VMM has them: a peer sees it when that one closes its own. */
void rf_run_fds_close(struct rf_run *r);

/* Becomes the VMM, which is only asked something. Returns where that fails: an enum rf_exit,
 * reported. */
int rf_run_ask(struct rf_run *r, enum rf_vmm_asks asks);

/* Finds the VMM's program, which the fence must be able to go into. An enum rf_exit, reported. */
int rf_run_check_program(struct rf_run *r);
/* Reports that there can be no door (hv/doorkeeper.h). An enum rf_exit. */
int rf_run_no_door(int err);
/* Checks all that can be checked before anything is started, then makes state. An enum rf_exit,
 * reported. */
int rf_run_check(struct rf_run *r);
int rf_run_prepare(struct rf_run *r);
/* The state folder's part of it: finds or makes the folder, takes its lock, listens. 0, or -errno
 * and *why; -EAGAIN: a VM of that name runs. */
int rf_run_folder_open(struct rf_run *r, struct rf_why *why);
/* Removes what it has made, and the folder if it was made and nothing else is in it. */
void rf_run_folder_close(struct rf_run *r);
/* Writes vm.json for `list`, `status` and `audit`. 0, or -errno and *why; a VM without it is still
 * protected. */
int rf_run_describe(struct rf_run *r, struct rf_why *why);

/* Makes the link. 0 or -errno. */
int rf_run_link(struct rf_run *r);
/* In the child that becomes the VMM. run: the parent. 0 or -errno. */
int rf_run_link_enter(const struct rf_run *r, pid_t run);
/* A new socket for the monitor that is started next. 0 or -errno. */
int rf_run_meet(struct rf_run *r);
/* Once that one is started: sends its other end to the VMM. 0, or -errno: it cannot be had just
 * now, as with a VMM that is stopped (-EAGAIN), and is to be tried again. */
int rf_run_introduce(struct rf_run *r);

/* Starts the monitor; *notify gets the reading end of its pipe (caller closes). 0 or -errno of fork
 * and exec. */
int rf_run_spawn_monitor(const struct rf_run *r, const sigset_t *mask, pid_t *pid, int *notify);
/* A new pair for a monitor and its sweeper; whoever had the last one is alone. 0 or -errno. */
int rf_run_pair(struct rf_run *r);
/* A new way to hand the next monitor another policy: its end goes to that one alone, so its death
 * is heard. 0 or -errno. */
int rf_run_orders(struct rf_run *r);
/* One packet that way, with a descriptor, -1 without. 0 or -errno; never blocks, see `deaf`. */
int rf_run_order(struct rf_run *r, const void *packet, size_t size, int fd);
/* Starts the sweeper of the monitor that has the pair. As rf_run_spawn_monitor(). */
int rf_run_spawn_sweeper(const struct rf_run *r, const sigset_t *mask, pid_t *pid, int *notify);
/* Starts the VMM with the fence preloaded, behind a closed door. Same return. */
int rf_run_spawn_vmm(struct rf_run *r, const sigset_t *mask, pid_t *pid);

/* Opens the audit log and its patch log, and makes what goes with them. 0, or -errno and *why. */
int rf_run_open_logs(struct rf_run *r, struct rf_why *why);
/* Opens a log to append, makes it where it is not there. The descriptor, or -errno and *why. */
int rf_run_open_log(int folder, const char *name, struct rf_why *why);
/* A new socket by which a monitor that is started gets new files. 0 or -errno. */
int rf_run_logs(struct rf_run *r);
struct rf_new_logs; /* monitor/rotate.h */
/* 0: it can be sent something; -EAGAIN: it is deaf. */
int rf_run_logs_room(struct rf_run *r);
/* With the descriptors that it says there are. 0 or -errno; never blocks, see `deaf`. */
int rf_run_logs_send(struct rf_run *r, const struct rf_new_logs *m);
/* Who wants new files. The monitor's word for a client is not believed more often than it is good
 * for. */
enum rf_rotate_for {
	RF_ROTATE_MOVED,  /* somebody has moved the audit log: else nothing is done */
	RF_ROTATE_CLIENT, /* a client, the monitor says: it is moved where it was not */
	RF_ROTATE_SIGNAL, /* SIGHUP: the same */
};
/*
 * Asks the monitor that serves to go on in new files. The patch log always goes with the audit log.
 * It answers by rf_run_rotated() or rf_run_not_rotated(). 0, or -errno: the monitor was told, and
 * so was the user.
 */
int rf_run_rotate(struct rf_run *r, enum rf_rotate_for what);
/* Has the log been away from its place for so long that whoever moved it will not ask? */
bool rf_run_log_is_away(struct rf_run *r);
/* Has the monitor not answered for so long that it never will? */
bool rf_run_rotate_overdue(const struct rf_run *r);
/* It did, or it died meanwhile: then the next one does. */
void rf_run_rotated(struct rf_run *r);
void rf_run_not_rotated(struct rf_run *r);
/* Closes the file before, when nobody needs it any more. */
void rf_run_forget_before(struct rf_run *r);

/* Says that a log is in use, for as long as it is open. 0; -EBUSY: somebody else has it alone. */
int rf_run_share_log(int fd);
/* Keeps a MiB of its file system for the audit log, ahead of what is written. */
void rf_run_reserve(struct rf_run *r);
/* Gives that back, where no other VM has the log. */
void rf_run_unreserve(const struct rf_run *r);
/*
 * At the end: writes down what the last monitor counted and could not write any more, and gives
 * back what is reserved. hangs: that monitor has not ended; what it counted is only told of.
 */
void rf_run_settle(const struct rf_run *r, bool hangs);

/* Starts both and stays until the VMM is gone. The code to exit with. */
int rf_run_watch(struct rf_run *r);

#endif
