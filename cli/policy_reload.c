// SPDX-License-Identifier: LGPL-2.1-or-later
/* `policy reload`: asks `run` for another policy, which decides (cli/run_reload.h). */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/control.h"
#include "cli/let_go.h"
#include "cli/paths.h"
#include "cli/policy.h"
#include "cli/reload_request.h"
#include "monitor/policy_known.h"
#include "policy/file.h"

#define ANSWER_MS 15000 /* `run` answers sooner, whatever its monitor does */
#define UNCHANGED "the policy of the VM is what it was"

/* A file that need not be there, as a whole or not at all. */
static int read_note(const char *path, char note[RF_REQUEST_NOTE], size_t *len)
{
	char name[PATH_MAX];
	int err = snprintf(name, sizeof(name), "%s.sig", path) >= (int)sizeof(name)
			  ? -ENAMETOOLONG
			  : rf_file_read(name, note, RF_REQUEST_NOTE, len);

	if (err == -ENOENT)
		*len = 0;
	return err == -ENOENT ? 0 : err;
}

/* What is read here is what is sent, and what was looked at before. */
static int make_request(const char *word, void *packet, size_t *size)
{
	static char text[RF_REQUEST_TEXT], note[RF_REQUEST_NOTE];
	struct rf_policy_origin origin;
	struct rf_policy_diag diag = { .line = 0 };
	struct rf_policy p;
	struct rf_request q = { .text = text, .note = note };
	char path[PATH_MAX];
	int err = rf_policy_find(word, path, &q.profile);

	if (!err)
		err = rf_file_read(path, text, sizeof(text), &q.text_len);
	if (!err)
		err = rf_policy_parse_known(text, q.text_len, &diag, &p);
	if (err == -EBADMSG)
		return rf_fail(RF_EXIT_NO, UNCHANGED,
			       "correct it; `ringfence policy keys` lists what may stand in it, "
			       "`ringfence check --list` the checks",
			       "%s:%u:%u: %s", word, diag.line, diag.column, diag.text);
	if (err)
		return rf_fail(RF_EXIT_NOT_FOUND, UNCHANGED,
			       "give the path of a file, or a profile: " RF_PROFILES,
			       "policy %s: %s", word, rf_policy_problem(err));
	err = read_note(path, note, &q.note_len);
	if (err)
		return rf_fail(RF_EXIT_NO, UNCHANGED,
			       "let `ringfence policy sign` write it anew, or remove it",
			       "the signature %s.sig cannot be read: %s", path,
			       rf_policy_problem(err));
	origin.profile = q.profile;
	rf_policy_origin_name(&origin, word, path);
	q.name = origin.name;
	*size = rf_request_make(&q, packet);
	return RF_EXIT_OK;
}

static int receive(int fd, json_t **out)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char *text = malloc(RF_ANSWER_MAX);
	ssize_t n = text && poll(&p, 1, ANSWER_MS) > 0 ? rf_take(fd, text, RF_ANSWER_MAX) : -1;
	int err = !text ? -ENOMEM : n == -EBADF ? -EBADMSG : n < 0 ? -ETIMEDOUT : 0;
	json_t *answer;

	answer = err ? NULL : json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
	*out = answer ? rf_safe_json(answer) : NULL;
	json_decref(answer);
	if (!err && !json_is_boolean(json_object_get(*out, "accepted"))) {
		json_decref(*out);
		err = -EBADMSG;
	}
	free(text);
	return err;
}

static int ask(const struct rf_vm *vm, const void *packet, size_t size, json_t **out)
{
	int fd, err = rf_state_dial(vm, RF_FILE_RELOAD, SOCK_SEQPACKET, &fd);

	if (err)
		return err;
	if (send(fd, packet, size, MSG_NOSIGNAL) != (ssize_t)size)
		err = -errno;
	if (!err)
		err = receive(fd, out);
	rf_let_go(fd);
	return err;
}

static int silent(const struct rf_vm *vm, int err)
{
	if (!vm->alive)
		return rf_vm_silent(vm, err, UNCHANGED);
	if (err == -ECONNREFUSED || err == -ENOENT)
		return rf_fail(RF_EXIT_NO_ANSWER, UNCHANGED,
			       "it can be changed by a restart of the VM alone",
			       "there is nobody to take another policy for %s: its `ringfence run` "
			       "is gone, or of an older release",
			       vm->name);
	return rf_fail(RF_EXIT_NO_ANSWER, "whether the policy has changed is not known",
		       "ask `ringfence policy show`", "`ringfence run` of %s does not answer: %s",
		       vm->name, strerror(-err));
}

static void print_change(const json_t *change)
{
	const char *key = json_string_value(json_object_get(change, "key")) ?: "?";
	const char *how = json_string_value(json_object_get(change, "change")) ?: "?";
	char *from = json_dumps(json_object_get(change, "from"), JSON_ENCODE_ANY);
	char *to = json_dumps(json_object_get(change, "to"), JSON_ENCODE_ANY);

	printf("  %-8s %-22s %s -> %s\n", how, key, from ?: "?", to ?: "?");
	free(from);
	free(to);
}

static int print_answer(const struct rf_vm *vm, const char *word, const json_t *o)
{
	const json_t *changes = json_object_get(o, "changes");
	const char *why = json_string_value(json_object_get(o, "why")) ?: "";
	char safe[4096];
	size_t n = json_array_size(changes);

	rf_safe(safe, sizeof(safe), why);
	if (!json_is_true(json_object_get(o, "accepted")))
		return rf_fail(
			RF_EXIT_NO, UNCHANGED,
			"leave those keys as they are, sign the file for this VM with a greater "
			"serial (`ringfence policy sign`; of a VM that was started with "
			"--policy-key), or restart the VM",
			"%s does not take %s: %s", vm->name, word, safe);
	printf("%s: %s is %s%s%s: %zu key%s changed\n", vm->name, word,
	       safe[0] ? "taken" : "in force", safe[0] ? ", but " : "", safe, n, n == 1 ? "" : "s");
	for (size_t i = 0; i < n; i++)
		print_change(json_array_get(changes, i));
	return rf_flush();
}

int rf_policy_reload(const struct rf_policy_args *a)
{
	static uint64_t packet[RF_REQUEST_MAX / sizeof(uint64_t) + 1];
	struct rf_vm vm;
	size_t size = 0;
	json_t *o;
	int code = rf_vm_find(a->items[0], &vm), err;

	if (code == RF_EXIT_OK)
		code = make_request(a->items[1], packet, &size);
	if (code != RF_EXIT_OK)
		return code;
	err = ask(&vm, packet, size, &o);
	if (err)
		return silent(&vm, err);
	code = json_is_true(json_object_get(o, "accepted")) ? RF_EXIT_OK : RF_EXIT_NO;
	if (a->json) {
		err = rf_print_json(o);
		return err ? err : code;
	}
	code = print_answer(&vm, a->items[1], o);
	json_decref(o);
	return code;
}
