// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the control socket says of a VM: how it stands, why it does not run, what the policy is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy/keys.h"
#include "tests/unit/fake_monitor.h"

static struct rf_status served;
static struct sockaddr_un address = { .sun_family = AF_UNIX };

static int setup(void **state)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fake_setup(state))
		return -1;
	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/rf-status-%d", (int)getpid());
	unlink(address.sun_path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 4))
		return -1;
	return rf_status_init(&served, fd);
}

static int teardown(void **state)
{
	close(served.listen_fd);
	unlink(address.sun_path);
	return fake_teardown(state);
}

static json_t *ask(const char *cmd)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[16384];
	ssize_t n;
	json_t *o;

	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	n = snprintf(text, sizeof(text), *cmd == '{' ? "%s\n" : "{\"cmd\":\"%s\"}\n", cmd);
	assert_int_equal(send(fd, text, (size_t)n, 0), n);
	rf_status_serve(&guest, &served);
	n = recv(fd, text, sizeof(text), 0);
	close(fd);
	assert_true(n > 0 && text[n - 1] == '\n');
	o = json_loadb(text, (size_t)n, 0, NULL);
	assert_non_null(o);
	return o;
}

/* What is asked for stands beside the command; of each question anew. */
static void asks_for_memory(void **state)
{
	static const char *const wrong[] = {
		"{\"cmd\":\"memory\"}",
		"{\"cmd\":\"memory\",\"at\":4096}",
		"{\"cmd\":\"memory\",\"at\":4097,\"pages\":1}",
		"{\"cmd\":\"memory\",\"at\":4096,\"pages\":17}",
		"{\"cmd\":\"memory\",\"at\":4096,\"pages\":-1}",
		"{\"cmd\":\"memory\",\"at\":-4096,\"pages\":1}",
		"{\"cmd\":\"memory\",\"at\":\"4096\",\"pages\":\"x\"}",
	};
	json_t *o;

	fake_sealed();
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		o = ask("{\"cmd\":\"memory\",\"at\":16777216,\"pages\":1}");
		assert_int_equal(json_integer_value(json_object_get(o, "pages")), 1);
		json_decref(o);
		o = ask(wrong[i]);
		assert_non_null(json_object_get(o, "error"));
		json_decref(o);
	}
	/* Of no page: where there are any. */
	o = ask("{\"cmd\":\"memory\",\"at\":0,\"pages\":0}");
	assert_int_equal(json_array_size(json_object_get(o, "ranges")), 1);
	json_decref(o);
}

/* One member of "status"; false: it is another text. */
static bool says(const char *member, const char *text)
{
	json_t *o = ask("status");
	const char *found = json_string_value(json_object_get(o, member));
	bool same = found && (*text ? strstr(found, text) != NULL : !*found);

	if (!same)
		print_message("%s is \"%s\"\n", member, found ? found : "(none)");
	json_decref(o);
	return same;
}

static void policy(void **state)
{
	struct rf_measurement expect = { .count = 0 };
	json_t *o = ask("status");

	assert_string_equal(fake_text(o, "mode"), "enforce");
	assert_string_equal(fake_text(o, "on_kexec"), "deny");
	assert_string_equal(fake_text(o, "on_mismatch"), "refuse");
	assert_string_equal(fake_text(o, "on_unknown_kernel"), "refuse");
	assert_int_equal(json_object_size(json_object_get(o, "guards")), 0);
	assert_true(json_is_false(json_object_get(o, "expect")));
	json_decref(o);
	guest.policy.mode = RF_MODE_OBSERVE;
	guest.policy.on_kexec = RF_ON_KEXEC_REARM;
	guest.policy.on_mismatch = RF_ON_MISMATCH_ALERT;
	guest.expect = &expect;
	o = ask("status");
	assert_string_equal(fake_text(o, "mode"), "observe");
	assert_string_equal(fake_text(o, "on_kexec"), "rearm");
	assert_string_equal(fake_text(o, "on_mismatch"), "alert");
	assert_true(json_is_true(json_object_get(o, "expect")));
	json_decref(o);
}

/* Every key, as it is in force. */
static void policy_keys(void **state)
{
	char path[RF_KEY_PATH];
	json_t *said, *o;

	guest.policy.patches[RF_PATCH_WORD_KGDB] = RF_PATCH_RULE_DENY;
	guest.policy.dma_sweep_ms = 77;
	said = ask("status");
	o = json_object_get(said, "policy");
	assert_int_equal(json_object_size(o), rf_keys_count);
	for (size_t i = 0; i < rf_keys_count; i++) {
		json_t *is = json_object_get(o, rf_key_path(&rf_keys[i], path));
		json_t *be = rf_key_json_of(&guest.policy, &rf_keys[i]);

		assert_true(json_equal(is, be));
		json_decref(be);
	}
	assert_string_equal(fake_text(o, "patches.kgdb"), "deny");
	assert_string_equal(fake_text(o, "patches.ftrace"), "owners");
	assert_int_equal(json_integer_value(json_object_get(o, "dma_sweep_ms")), 77);
	assert_true(json_is_true(json_object_get(o, "seal.text")));
	json_decref(said);
}

static void awaiting(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_RESET);
	struct rf_backend *hv = guest.hv;

	guest.hv = NULL;
	assert_true(says("state", "waiting") && says("awaiting", "has not made its VM"));
	guest.hv = hv;
	assert_true(says("state", "booting") && says("awaiting", "has run no vCPU yet"));
	fake.info.counters[RF_COUNT_RUN] = 1;
	assert_true(says("awaiting", ""));
	ev.life.cause = RF_CAUSE_ARRIVED;
	assert_int_equal(fake_judge(&ev), 0);
	assert_true(says("awaiting", "the kernel that the VMM loaded"));
	ev = fake_kernel_event(LSTAR);
	fake_judge(&ev);
	assert_true(says("awaiting", ""));
	/* After a reset the guest boots: it waits for nothing. */
	ev = fake_event(RF_EVENT_RESET);
	ev.life.cause = RF_CAUSE_RESET;
	assert_int_equal(fake_judge(&ev), 0);
	fake.info.state = RF_VM_BOOTING;
	assert_true(says("awaiting", ""));
}

/* What is asked of a halted VM's text or memory is refused with the reason, whoever knows it. */
static void halted(void **state)
{
	static const char *const questions[] = { "gadgets", "measure" };
	struct rf_msg_event ev = fake_event(RF_EVENT_HALTED);

	fake_sealed();
	ev.life.cause = RF_CAUSE_TEXT;
	assert_int_equal(fake_judge(&ev), 0);
	fake.info.state = RF_VM_HALTED;
	assert_true(says("state", "halted") && says("halted", "other sealed memory"));
	assert_true(says("awaiting", ""));
	for (int known = 1; known >= 0; known--) {
		for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
			json_t *o = ask(questions[i]);

			assert_true(json_is_true(json_object_get(o, "halted")));
			assert_non_null(
				strstr(fake_text(o, "error"),
				       known ? "other sealed memory" : "an earlier monitor"));
			json_decref(o);
		}
		guest.halted = NULL; /* as for a monitor that came later */
	}
	fake.info.state = RF_VM_SEALED;
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		json_t *o = ask(questions[i]);

		assert_null(json_object_get(o, "halted"));
		json_decref(o);
	}
}

static json_t *left_out(size_t i)
{
	static json_t *o;

	json_decref(o);
	o = ask("status");
	return json_array_get(json_object_get(o, "sites_left_out"), i);
}

/* What no patch is allowed at is said, with a reason; what nothing is missing for is not. */
static void sites(void **state)
{
	struct rf_msg_event ev;
	json_t *o = ask("status");

	assert_true(json_is_null(json_object_get(o, "sites_left_out"))); /* there is no table */
	json_decref(o);
	fake.stats = (struct rf_textpatch_stats){
		.init = 1, .merged = 2, .frozen = 3, .flying = 4, .first_odd.v = IMAGE_GVA
	};
	fake_sealed();
	o = ask("status");
	assert_true(json_is_array(json_object_get(o, "sites_left_out")));
	assert_int_equal(json_array_size(json_object_get(o, "sites_left_out")), 0);
	json_decref(o);
	fake.stats = (struct rf_textpatch_stats){ .odd = 5,
						  .outside = 6,
						  .full = 7,
						  .nameless = 8,
						  .foreign = 9,
						  .unread = 10,
						  .first_odd.v = IMAGE_GVA + 0x1084 };
	for (size_t i = 0; i < 6; i++) {
		static const char *const names[] = { "odd",	 "outside", "full",
						     "nameless", "foreign", "unread" };

		assert_string_equal(fake_text(left_out(i), "reason"), names[i]);
		assert_int_equal(json_integer_value(json_object_get(left_out(i), "count")), i + 5);
		assert_true(strlen(fake_text(left_out(i), "why")) > 20);
		assert_string_equal(fake_text(left_out(i), "first"),
				    i ? "" : "entry_SYSCALL_64+0x4");
	}
	assert_null(left_out(6));
	/* Of an address that has no name there is still the address. */
	fake.stats.first_odd.v = 0x1234;
	assert_string_equal(fake_text(left_out(0), "first"), "0x1234");
	fake.stats = (struct rf_textpatch_stats){ .odd = 0 };
	fake.nothing_kept = true;
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_string_equal(fake_text(left_out(0), "reason"), "nothing-kept");
	assert_true(json_is_null(json_object_get(left_out(0), "count")));
	assert_null(left_out(1));
	ev = fake_event(RF_EVENT_RESET);
	assert_int_equal(fake_judge(&ev), 0);
	assert_null(left_out(0));
}

/* What a complaint quotes is a guest's, or a VMM's: nothing of it speaks to a terminal. */
static void complaints_are_printable(void **state)
{
	rf_complain(&guest, "its banner is \"%s\"", "a\033[8mb\n\x9b\x7f");
	assert_string_equal(fake_notified(), "error its banner is \"a?[8mb???\"\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(policy, setup, teardown),
		cmocka_unit_test_setup_teardown(policy_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(asks_for_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(awaiting, setup, teardown),
		cmocka_unit_test_setup_teardown(halted, setup, teardown),
		cmocka_unit_test_setup_teardown(sites, setup, teardown),
		cmocka_unit_test_setup_teardown(complaints_are_printable, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
