// SPDX-License-Identifier: LGPL-2.1-or-later
/* The guard of the kernel's hooks: who is told of, how often, and what the policy makes of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

#define OUTSIDE UINT64_C(0xffffffffa0000100)   /* of no module that is listed */
#define IN_MODULE UINT64_C(0xffffffffc0000100) /* "evil" */
#define FUNCTION (IMAGE_GVA + 0x2000)	       /* commit_creds */

static int setup(void **state)
{
	int err = fake_setup(state);

	if (!err)
		fake_sealed();
	return err;
}

static uint32_t round_ms = 1000;

/* A second, in which the guest stands still. */
static void sweep_paused(void)
{
	struct rf_budget outer = rf_unit_begin(&guest, &rf_guard_hooks.sweep_unit);

	assert_int_equal(rf_guard_hooks.sweep(&guest, round_ms), 0);
	assert_int_equal(rf_unit_end(&guest, &rf_guard_hooks.sweep_unit, &outer), 0);
}

static void sweep(void)
{
	fake.info.counters[RF_COUNT_RUN]++;
	fake.info.counters[RF_COUNT_RAN_NS] += round_ms * UINT64_C(1000000);
	sweep_paused();
}

static void hook(uint64_t kind, uint64_t object, uint64_t function)
{
	fake.hooks[fake.hooks_count++] =
		(struct rf_hook){ .kind = kind,
				  .object = object,
				  .handler = OUTSIDE,
				  .function = function,
				  .more = 2,
				  .settling = kind == RF_HOOK_UNLISTED || kind == RF_HOOK_STRAY };
}

static void tick(void)
{
	struct rf_budget outer = rf_unit_begin(&guest, &rf_guard_hooks.tick_unit);

	assert_int_equal(rf_guard_hooks.tick(&guest, 100), 0);
	assert_int_equal(rf_unit_end(&guest, &rf_guard_hooks.tick_unit, &outer), 0);
}

/* What a look at the guest costs. */
static uint64_t reads;
static struct rf_backend_ops counting;
static int (*own_read)(struct rf_backend *b, rf_gpa gpa, void *buf, size_t len);

static int count_read(struct rf_backend *b, rf_gpa gpa, void *buf, size_t len)
{
	reads++;
	return own_read(b, gpa, buf, len);
}

/* From here on the list of modules leads back into itself. */
static void endless_modules(void)
{
	counting = *fake.hv.ops;
	own_read = counting.read;
	counting.read = count_read;
	fake.hv.ops = &counting;
	fake.endless = true;
	reads = 0;
}

static void told_once(void **state)
{
	json_t *line;

	sweep();
	assert_int_equal(fake_count("kind", "hook"), 0);
	hook(RF_HOOK_FTRACE, 1, FUNCTION);
	hook(RF_HOOK_KPROBE, 1, FUNCTION);
	for (int i = 0; i < 3; i++)
		sweep();
	assert_int_equal(fake_count("kind", "hook"), 2);
	line = fake_line(0);
	assert_string_equal(fake_text(line, "verdict"), "detected");
	assert_string_equal(fake_text(line, "rule"), "handler-outside-image");
	assert_string_equal(fake_text(json_object_get(line, "target"), "symbol"), "commit_creds");
	assert_string_equal(fake_text(json_object_get(line, "handler"), "addr"),
			    "0xffffffffa0000100");
	assert_non_null(strstr(fake_text(line, "detail"), "2 more functions"));
	/* Gone, and back. */
	fake.hooks_count = 0;
	sweep();
	hook(RF_HOOK_FTRACE, 1, FUNCTION);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 3);
	/* The next kernel's are the next kernel's. */
	fake_reset();
	fake_sealed();
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 4);
}

/* Whom a probe calls is told also where it claims to be its own place. */
static void its_own_place(void **state)
{
	hook(RF_HOOK_KPROBE, 2, OUTSIDE);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 1);
	assert_string_equal(fake_text(json_object_get(fake_line(0), "handler"), "addr"),
			    "0xffffffffa0000100");
	assert_null(strstr(fake_text(fake_line(0), "detail"), "nobody says"));
}

static void whose(void **state)
{
	hook(RF_HOOK_FTRACE, 1, 0);
	sweep();
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "no listed module owns"));
	fake.bpf = "bpf_prog_x";
	hook(RF_HOOK_FTRACE, 2, 0);
	sweep();
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "bpf_prog_x"));
	/* What the guest calls it is no symbol of the kernel's. */
	assert_string_equal(fake_text(json_object_get(fake_line(0), "handler"), "symbol"),
			    "[bpf: bpf_prog_x]");
	guest.policy.patches[RF_PATCH_WORD_BPF] = RF_PATCH_RULE_ALLOW;
	hook(RF_HOOK_FTRACE, 3, 0);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 2);
	fake.bpf = NULL;
	fake.hooks_count--; /* else it is another's now, and told */
	hook(RF_HOOK_TRACEPOINT, 4, 0);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 3);
	guest.policy.patches[RF_PATCH_WORD_TRACEPOINTS] = RF_PATCH_RULE_ALLOW;
	hook(RF_HOOK_TRACEPOINT, 5, 0);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 3);
	guest.policy.patches[RF_PATCH_WORD_KPROBES] = RF_PATCH_RULE_ALLOW;
	hook(RF_HOOK_KRETPROBE, 6, 0);
	hook(RF_HOOK_STATIC_CALL, 7, 0);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 4);
	/* A module that is named, by the guest's list. */
	hook(RF_HOOK_FTRACE, 8, 0);
	fake.hooks[fake.hooks_count - 1].handler = IN_MODULE;
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 5);
	assert_string_equal(fake_text(json_object_get(fake_line(0), "handler"), "module"), "evil");
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "the module \"evil\""));
	strcpy(guest.policy.owners.name[0], "evil");
	guest.policy.owners.count = 1;
	hook(RF_HOOK_FTRACE, 9, 0);
	fake.hooks[fake.hooks_count - 1].handler = IN_MODULE;
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 5);
}

/* A kind that no word of the policy is about could not be let. */
static void each_has_its_word(void **state)
{
	for (int kind = 1; kind < RF_HOOK_KINDS; kind++)
		if (rf_policy_hook(rf_hook_text((enum rf_hook_kind)kind)) >= RF_PATCH_WORDS)
			fail_msg("rf_policy_hook() has no row for %s",
				 rf_hook_text((enum rf_hook_kind)kind));
	assert_int_equal(rf_policy_hook("of a later release; calls code"), RF_PATCH_WORDS);
}

/* perf's questions to KVM are the kernel's own doing; anything else of that module's is told. */
static void usual(void **state)
{
	const struct rf_hook call = { .kind = RF_HOOK_STATIC_CALL }, trace = { .kind = 1 };

	assert_true(rf_hook_is_usual(&call, "__SCK____perf_guest_state", "kvm"));
	assert_true(rf_hook_is_usual(&call, "__SCK____perf_guest_get_ip", "kvm"));
	assert_false(rf_hook_is_usual(&call, "__SCK____perf_guest_state", "evil"));
	assert_false(rf_hook_is_usual(&call, "__SCK____perf_guest_state", ""));
	assert_false(rf_hook_is_usual(&call, "__SCK__x86_pmu_handle_irq", "kvm"));
	assert_false(rf_hook_is_usual(&call, "", "kvm"));
	assert_false(rf_hook_is_usual(&trace, "__SCK____perf_guest_state", "kvm"));
	/* And asked about, of each; again when the same memory is another module's. */
	fake.module = "kvm";
	hook(RF_HOOK_STATIC_CALL, 1, IMAGE_GVA + PERF_KEY_AT);
	fake.hooks[0].handler = IN_MODULE;
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 0);
	fake.module = "evil";
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 1);
}

/* On its way out a tracer is off the list before the text is changed. */
static void unlisted(void **state)
{
	hook(RF_HOOK_UNLISTED, OUTSIDE, 0);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 0);
	fake.hooks_count = 0;
	sweep();
	hook(RF_HOOK_UNLISTED, OUTSIDE, 0);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 0);
	sweep();
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 1);
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "no list of the kernel's"));
}

/* A breakpoint whose probe is gone: there is nobody whom it calls. One that is a jump has
 * somebody. */
static void stray(void **state)
{
	hook(RF_HOOK_STRAY, FUNCTION, FUNCTION);
	fake.hooks[0].handler = FUNCTION;
	for (int i = 0; i < 2; i++)
		sweep();
	assert_int_equal(fake_count("kind", "hook"), 0);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 1);
	assert_string_equal(fake_text(json_object_get(fake_line(0), "target"), "symbol"),
			    "commit_creds");
	assert_null(json_object_get(fake_line(0), "handler"));
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "no table of the kernel's"));
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "nobody says"));
	fake.hooks[0].handler = OUTSIDE;
	for (int i = 0; i < 3; i++)
		sweep();
	assert_int_equal(fake_count("kind", "hook"), 2);
	assert_string_equal(fake_text(json_object_get(fake_line(0), "handler"), "addr"),
			    "0xffffffffa0000100");
	/* What the policy says of probes holds for it. */
	guest.policy.patches[RF_PATCH_WORD_KPROBES] = RF_PATCH_RULE_ALLOW;
	hook(RF_HOOK_STRAY, FUNCTION + 8, FUNCTION + 8);
	for (int i = 0; i < 3; i++)
		sweep();
	assert_int_equal(fake_count("kind", "hook"), 2);
}

/* All functions take their time: as long as text changes nobody is accused, but not for ever. */
static void unlisted_while_text_changes(void **state)
{
	hook(RF_HOOK_UNLISTED, OUTSIDE, 0);
	for (int i = 0; i < 599; i++) {
		fake.patching.changes++;
		sweep();
	}
	assert_int_equal(fake_count("kind", "hook"), 0);
	fake.patching.changes++;
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 1);
	/* What is on a list has no such time. */
	fake.patching.changes++;
	hook(RF_HOOK_FTRACE, 2, 0);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 2);
	/* It is over: three rounds, as ever. */
	hook(RF_HOOK_UNLISTED, OUTSIDE + 0x1000, 0);
	fake.patching.changes++;
	sweep();
	sweep();
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 2);
	for (int i = 0; i < 900; i++)
		sweep_paused();
	assert_int_equal(fake_count("kind", "hook"), 2);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 3);
}

/* It idles: its vCPUs wait within KVM_RUN. */
static void unlisted_in_an_idle_guest(void **state)
{
	sweep();
	hook(RF_HOOK_UNLISTED, OUTSIDE, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(fake_count("kind", "hook"), 0);
		fake.info.counters[RF_COUNT_RAN_NS] += 100000000;
		sweep_paused();
	}
	assert_int_equal(fake_count("kind", "hook"), 1);
}

/* VMM and monitor were stopped together for an hour: it ran for a moment before, and does so
 * afterwards. */
static void unlisted_while_all_was_stopped(void **state)
{
	hook(RF_HOOK_UNLISTED, OUTSIDE, 0);
	fake.patching.changes++;
	sweep();
	round_ms = 3600000;
	fake.info.counters[RF_COUNT_RUN]++;
	fake.info.counters[RF_COUNT_RAN_NS] += UINT64_C(1000000000);
	fake.patching.changes++;
	sweep_paused();
	round_ms = 1000;
	fake.patching.changes++;
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 0);
}

/* It is time that counts: after a round that was too long the next one is far off. */
static void unlisted_in_long_rounds(void **state)
{
	hook(RF_HOOK_UNLISTED, OUTSIDE, 0);
	round_ms = 10000;
	for (int i = 0; i < 60; i++) {
		assert_int_equal(fake_count("kind", "hook"), 0);
		fake.patching.changes++;
		sweep();
	}
	round_ms = 1000;
	assert_int_equal(fake_count("kind", "hook"), 1);
}

/* However many there are, and however often they come and go. */
static void many(void **state)
{
	for (uint64_t i = 0; i < 1100; i++)
		hook(RF_HOOK_FTRACE, i + 1, FUNCTION);
	sweep();
	/* That there are more is said also when they stay. */
	assert_int_equal(fake_count("kind", "hook"), 1025);
	for (int i = 0; i < 4; i++) {
		uint32_t n = fake.hooks_count;

		fake.hooks_count = 0;
		sweep();
		fake.hooks_count = n;
		sweep();
	}
	assert_int_equal(fake_count("kind", "hook"), 1025);
	assert_string_equal(fake_text(fake_line(0), "outcome"), "not told one by one any more");
}

static void unread(void **state)
{
	hook(RF_HOOK_FTRACE, 1, FUNCTION);
	sweep();
	fake.hooks_err = -EFAULT;
	for (int i = 0; i < 6; i++)
		sweep();
	assert_int_equal(fake_count("kind", "endless"), 1);
	assert_string_equal(fake_text(fake_line(0), "rule"), "guest-lists-end");
	/* What was not seen need not be gone. */
	fake.hooks_err = 0;
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 1);
	for (int i = 0; i < 100; i++) {
		fake.hooks_err = i % 4 == 3 ? 0 : -EFAULT;
		sweep();
	}
	assert_int_equal(fake_count("kind", "endless"), 16);
}

/* Nothing is looked for that does not matter: the policy lets the kind, or no line comes of it. */
static void asked_first(void **state)
{
	size_t before = fake_lines();

	guest.policy.patches[RF_PATCH_WORD_FTRACE] = RF_PATCH_RULE_ALLOW;
	endless_modules();
	for (uint64_t i = 0; i < 100; i++)
		hook(RF_HOOK_FTRACE, i + 1, FUNCTION);
	for (int i = 0; i < 20; i++)
		sweep();
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(
			rf_guard_hooks.found(&guest, RF_HOOK_FTRACE, &fake.hooks[i].object, 1), 0);
	assert_int_equal(reads, 0);
	fake.endless = false;
	guest.policy.patches[RF_PATCH_WORD_FTRACE] = RF_PATCH_RULE_OWNERS;
	fake.hooks_count = 0;
	for (uint64_t i = 0; i < 1100; i++)
		hook(RF_HOOK_FTRACE, i + 1, FUNCTION);
	sweep();
	fake.endless = true;
	fake.hooks_count = 0;
	sweep();
	for (uint64_t i = 0; i < 100; i++)
		hook(RF_HOOK_FTRACE, i + 5000, FUNCTION);
	for (int i = 0; i < 20; i++)
		sweep();
	fake.endless = false;
	assert_int_equal(reads, 0);
	assert_int_equal(fake_lines() - before, 1025);
}

/* Whoever waits for a verdict does not wait for names. */
static void one_take(void **state)
{
	int ends[2];

	endless_modules();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
	guest.pair.fd = ends[0];
	for (uint64_t i = 0; i < 16; i++) {
		const struct rf_found f = { .what = RF_FOUND_HINT,
					    .guard = rf_guards_row(&rf_guard_hooks),
					    .kind = RF_HOOK_KPROBE,
					    .count = 1,
					    .kernel = guest.kernel_event,
					    .values = { i + 1 } };

		/* On a function of a module's. */
		hook(RF_HOOK_KPROBE, i + 1, OUTSIDE + 0x1000);
		assert_int_equal(rf_msg_send(ends[1], &f, sizeof(f), NULL, 0), 0);
	}
	assert_int_equal(rf_pair_take(&guest), 0);
	assert_in_range(reads, 1, 10000);
	assert_int_equal(fake_count("kind", "hook"), 2);
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "not found in time"));
	for (int i = 0; i < 7; i++) { /* the others have their turn */
		reads = 0;
		tick();
		assert_in_range(reads, 1, 10000);
	}
	assert_int_equal(fake_count("kind", "hook"), 16);
	assert_int_equal(fake_count("kind", "endless"), 0); /* the lines say it */
	fake.endless = false;
	guest.pair = (struct rf_pair){ 0 };
	close(ends[0]);
	close(ends[1]);
}

/* Nobody knows whose it is: it is no owner's. */
static void owner_in_time(void **state)
{
	strcpy(guest.policy.owners.name[0], "evil");
	guest.policy.owners.count = 1;
	endless_modules();
	hook(RF_HOOK_FTRACE, 1, 0);
	fake.hooks[0].handler = IN_MODULE;
	sweep();
	fake.endless = false;
	assert_int_equal(fake_count("kind", "hook"), 1);
	/* Nor BPF's, whose list leads nowhere. */
	fake.bpf_err = -EFAULT;
	hook(RF_HOOK_FTRACE, 2, 0);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 2);
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "could not be read"));
}

/* What the policy lets is many, and hides nobody. */
static void full_of_what_is_allowed(void **state)
{
	strcpy(guest.policy.owners.name[0], "evil");
	guest.policy.owners.count = 1;
	for (uint64_t i = 0; i < 1090; i++) {
		hook(RF_HOOK_DIRECT, 0x1000 + i * 64, FUNCTION + i);
		fake.hooks[i].handler = IN_MODULE + i;
	}
	sweep();
	hook(RF_HOOK_KPROBE, 7, FUNCTION);
	hook(RF_HOOK_STATIC_CALL, 8, FUNCTION);
	hook(RF_HOOK_UNLISTED, OUTSIDE, 0);
	for (int i = 0; i < 30; i++)
		sweep();
	assert_int_equal(fake_count("kind", "hook"), 3);
}

/* One tracer, one handler: its filter is told of once more, and no more often. */
static void filter_changes(void **state)
{
	hook(RF_HOOK_FTRACE, 1, FUNCTION);
	for (int i = 0; i < 100; i++) {
		fake.hooks[0].function = FUNCTION + (uint64_t)i % 7;
		sweep();
	}
	assert_int_equal(fake_count("kind", "hook"), 2);
	fake.hooks[0].unread = true;
	fake.hooks[0].handler++;
	sweep();
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "could not be read"));
}

/* The sweeper has seen it, and the monitor a moment later has not. */
static void gone_while_the_monitor_looks(void **state)
{
	struct rf_found f;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	guest.pair.fd = ends[0];
	guest.pair.sweeper = true;
	hook(RF_HOOK_KPROBE, 1, FUNCTION);
	sweep();
	assert_int_equal(recv(ends[1], &f, sizeof(f), 0), sizeof(f));
	assert_int_equal(f.kind, RF_HOOK_KPROBE);
	guest.pair.sweeper = false;
	fake.hooks_count = 0;
	assert_int_equal(rf_guard_hooks.found(&guest, f.kind, f.values, f.count), 0);
	assert_int_equal(fake_count("kind", "hook"), 0);
	fake.hooks_count = 1;
	guest.pair.sweeper = true;
	for (int i = 0; i < 4; i++)
		sweep();
	guest.pair.sweeper = false;
	while (recv(ends[1], &f, sizeof(f), MSG_DONTWAIT) > 0)
		assert_int_equal(rf_guard_hooks.found(&guest, f.kind, f.values, f.count), 0);
	guest.pair = (struct rf_pair){ 0 };
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(fake_count("kind", "hook"), 1);
}

/* What it knew is never said to be gone: the next one does not name it. */
static void back_after_a_sweeper_died(void **state)
{
	const uint64_t gone = 1, stays = 2;

	hook(RF_HOOK_KPROBE, gone, FUNCTION);
	hook(RF_HOOK_KPROBE, stays, FUNCTION);
	assert_int_equal(rf_guard_hooks.found(&guest, RF_HOOK_KPROBE, &gone, 1), 0);
	assert_int_equal(rf_guard_hooks.found(&guest, RF_HOOK_KPROBE, &stays, 1), 0);
	assert_int_equal(fake_count("kind", "hook"), 2);
	guest.pair.sweepers++;
	tick();
	assert_int_equal(rf_guard_hooks.found(&guest, RF_HOOK_KPROBE, &stays, 1), 0);
	for (int i = 0; i < 1800; i++)
		tick();
	assert_int_equal(rf_guard_hooks.found(&guest, RF_HOOK_KPROBE, &gone, 1), 0);
	assert_int_equal(rf_guard_hooks.found(&guest, RF_HOOK_KPROBE, &stays, 1), 0);
	assert_int_equal(fake_count("kind", "hook"), 3);
	guest.pair.sweepers = 0;
}

/* What comes and goes before the end of a list that stays broken does not fill the table. */
static void broken_list_fills(void **state)
{
	strcpy(guest.policy.owners.name[0], "evil");
	guest.policy.owners.count = 1;
	fake.hooks_err = -EFAULT;
	hook(RF_HOOK_FTRACE, 1, 0);
	hook(RF_HOOK_KPROBE, 7, FUNCTION);
	for (uint64_t i = 0; i < 1100; i++) {
		fake.hooks[0].handler = IN_MODULE + i;
		sweep();
	}
	assert_int_equal(fake_count("kind", "hook"), 1);
	hook(RF_HOOK_UNLISTED, OUTSIDE, 0);
	for (int i = 0; i < 3; i++)
		sweep();
	assert_int_equal(fake_count("kind", "hook"), 2);
}

/* What functions call is as old as the last look at them. */
static void while_sites_overrun(void **state)
{
	struct rf_budget outer = rf_unit_begin(&guest, &rf_guard_patches.sweep_unit);

	guest.budget.spent = true;
	assert_int_equal(rf_unit_end(&guest, &rf_guard_patches.sweep_unit, &outer), 0);
	hook(RF_HOOK_UNLISTED, OUTSIDE, 0);
	for (int i = 0; i < 10; i++)
		sweep();
	assert_int_equal(fake_count("kind", "hook"), 0);
	outer = rf_unit_begin(&guest, &rf_guard_patches.sweep_unit);
	assert_int_equal(rf_unit_end(&guest, &rf_guard_patches.sweep_unit, &outer), 0);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 1);
}

/* What the sweeper says names objects alone, and means nothing by itself. */
static void said_falsely(void **state)
{
	uint64_t values[28] = { 7, 8, 9 };

	for (uint32_t kind = 1; kind < 20; kind++)
		if (kind != RF_HOOK_KINDS)
			assert_int_equal(rf_guard_hooks.found(&guest, kind, values, 28), 0);
	assert_int_equal(rf_guard_hooks.found(&guest, 0, values, 28), 0);
	assert_int_equal(rf_guard_hooks.found(&guest, 0, values, 3), 0);
	assert_int_equal(fake_count("kind", "hook"), 0);
}

static void kinds_that_are_not_shown(void **state)
{
	assert_null(rf_guard_hooks.lacks(&guest));
	fake.hooks_hidden = 1 << RF_HOOK_FPROBE | 1 << RF_HOOK_LIVEPATCH;
	assert_string_equal(rf_guard_hooks.lacks(&guest),
			    "on, but this kernel does not show: fprobe, livepatch");
	fake.hooks_hidden = UINT32_MAX;
	assert_non_null(strstr(rf_guard_hooks.lacks(&guest), "unlisted")); /* all of it fits */
}

static void without_a_table(void **state)
{
	fake_reset();
	fake.textpatch_err = -ENOENT;
	fake_sealed();
	hook(RF_HOOK_FTRACE, 1, FUNCTION);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 0);
	assert_non_null(rf_guard_hooks.lacks(&guest));
	assert_int_equal(fake.hook_tables, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(told_once, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(its_own_place, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(whose, setup, fake_teardown),
		cmocka_unit_test(each_has_its_word),
		cmocka_unit_test_setup_teardown(usual, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(unlisted, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(stray, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(unlisted_while_text_changes, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(unlisted_in_an_idle_guest, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(unlisted_while_all_was_stopped, setup,
						fake_teardown),
		cmocka_unit_test_setup_teardown(unlisted_in_long_rounds, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(many, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(unread, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(asked_first, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(one_take, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(owner_in_time, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(full_of_what_is_allowed, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(filter_changes, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(gone_while_the_monitor_looks, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(back_after_a_sweeper_died, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(broken_list_fills, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(while_sites_overrun, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(said_falsely, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(kinds_that_are_not_shown, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(without_a_table, setup, fake_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
