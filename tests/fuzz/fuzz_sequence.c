// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A fence that lies, from the monitor's side: messages in any order, and between them a board, answers to commands and
 * guest memory that are what the input says. What a backend bounds (hv/check.h) is bounded here as well. Under the
 * sanitisers nothing of the monitor's may be read or written out of bounds, and nothing left behind; and:
 * - once the VM's end was ordered nothing is answered any more;
 * - what cannot be is given up, each time.
 *
 * Input, again and again: a byte that says what (its low half), and more bytes: see step().
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "hv/check.h"
#include "monitor/messages.h"
#include "tests/unit/fake_monitor.h"

#define STEPS 48 /* of one input */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A disk that is waited for makes ten inputs a second. */
int fdatasync(int fd)
{
	return 0;
}

static const uint8_t *data;
static size_t left;

static uint64_t number(size_t bytes)
{
	uint64_t v = 0;

	if (bytes > left)
		bytes = left;
	memcpy(&v, data, bytes);
	data += bytes;
	left -= bytes;
	return v;
}

/* Up to 31 bytes at any place of it. */
static void change(void *what, size_t size)
{
	size_t at = number(2) % size, len = number(1) % 32;

	if (len > size - at)
		len = size - at;
	if (len > left)
		len = left;
	memcpy((uint8_t *)what + at, data, len);
	data += len;
	left -= len;
}

/* --- the monitor ------------------------------------------------------------------ */

static void attach(void)
{
	rf_sequence_begin(&guest.sequence, &fake.info);
	if (rf_guest_resume(&guest))
		return; /* it would end */
}

/* As `run` has it: another one comes. */
static void next_monitor(void)
{
	fake_new_monitor();
	guest.policy.pin_tables = fake.has_tables;
	attach();
}

static void must(bool so)
{
	if (!so)
		abort();
}

/* The fence does what it was told, as an honest one. */
static void obey(const struct rf_msg_event *ev)
{
	const struct rf_msg_verdict *v = fake_verdict();

	if (ev->kind != RF_EVENT_KERNEL || v->id != ev->id || v->verdict != RF_VERDICT_ALLOW)
		return;
	fake.info.kernel = ev->id;
	fake.info.lstar = ev->msr.value;
	fake.info.cr3 = ev->regs.cr3;
	if (fake.info.state == RF_VM_BOOTING)
		fake.info.state = RF_VM_FOUND;
}

static void say(const union rf_backend_message *m)
{
	bool closed = rf_messages_wait(&guest), more;
	unsigned int before = fake.verdicts;
	int err;

	/* As the serving loop, which takes nothing of a fence that was told to end. */
	if (closed) {
		must(!rf_messages_take(&guest, &more) && fake.verdicts == before);
		next_monitor();
		return;
	}
	err = rf_message_take(&guest, m);
	if (m->h.type == RF_MSG_EVENT && fake.verdicts != before)
		obey(&m->event);
	if (!err)
		return;
	rf_messages_give_up(&guest, err);
	next_monitor();
}

/* --- what is said ------------------------------------------------------------------- */

static uint64_t number_of_event(uint8_t how)
{
	switch (how % 8) {
	case 0:
		return fake.info.next_event - 1 - number(1);
	case 1:
		return number(8);
	default:
		return fake.info.next_event++;
	}
}

static void say_event(uint8_t how)
{
	union rf_backend_message m = { .event = fake_event((enum rf_event_kind)(number(1) % 18)) };
	struct rf_msg_event *ev = &m.event;

	fake.info.next_event--;
	ev->id = number_of_event(how);
	ev->vcpu = (uint32_t)number(1) % 4;
	ev->msr.index = RF_MSR_ENTRY;
	ev->msr.value = LSTAR;
	ev->write.gpa = TABLE;
	ev->write.len = 4;
	ev->write.rip_after = 1;
	ev->trap.kind = 1 + (uint32_t)number(1) % 8;
	ev->trap.len = 4;
	ev->trap.gpa = IMAGE_GPA + 0x1000;
	ev->life.cause = ev->kind == RF_EVENT_RESET    ? 1 + (uint32_t)number(1) % 3
			 : ev->kind == RF_EVENT_HALTED ? 4 + (uint32_t)number(1) % 3
						       : 0;
	if (how & 8)
		change(&ev->kind, sizeof(*ev) - offsetof(struct rf_msg_event, kind));
	if (ev->kind == RF_EVENT_KERNEL) {
		fake.posted = ev->id;
		fake.posted_lstar = ev->msr.value;
	}
	if (!rf_check_event(ev))
		say(&m);
}

static void say_outcome(void)
{
	union rf_backend_message m = { .outcome = { .id = fake.info.next_event - number(1),
						    .status = -(int32_t)number(1) } };

	rf_msg_init(&m.h, RF_MSG_OUTCOME, 0);
	if (!rf_check_outcome(&m.outcome))
		say(&m);
}

/* --- what it answers, and what can be seen ------------------------------------------------- */

static void answer_commands(void)
{
	static const int errors[] = { 0,	-EIO,	 -ESTALE, -EALREADY, -EEXIST, -EPERM,
				      -ENOENT, -EINVAL, -EAGAIN, -EBUSY,    0,	       0 };
	int *const commands[] = { &fake.watch_err, &fake.seal_err, &fake.pin_err,
				  &fake.traps_err, &fake.heal_err, &fake.restore_err,
				  &fake.mend_err };
	uint8_t which = (uint8_t)number(1);

	*commands[which % 7] = errors[number(1) % 12];
	fake.state_runs = which & 0x80;
	fake.kept = which & 0x40;
}

/* The board, as the backend lets it through. */
static void change_board(void)
{
	static struct rf_board b;
	const struct rf_backend_info was = fake.info;

	change(&fake.info, sizeof(fake.info));
	memset(&b, 0, sizeof(b));
	b.magic = RF_BOARD_MAGIC;
	b.revision = RF_PROTO_REVISION;
	b.state = fake.info.state;
	b.vcpus = fake.info.vcpus;
	b.image = fake.info.image;
	b.regions_count = fake.info.regions_count;
	memcpy(b.regions, fake.info.regions, sizeof(b.regions));
	b.traps_count = fake.info.traps_count;
	memcpy(b.traps, fake.info.traps, sizeof(b.traps));
	if (rf_check_board(&b) || !fake.info.next_event)
		fake.info = was;
	fake.info.next_event = was.next_event;
	fake.info.heals_taken = was.heals_taken;
	fake.info.cr_watch = fake.info.loaded = false; /* of one byte, and true or false */
}

static void change_trail(void)
{
	fake.patching.head = number(2) % (sizeof(fake.entries) / sizeof(fake.entries[0]));
	fake.patching.count = (uint32_t)number(2) % (RF_FLIGHTS + 1);
	change(fake.patching.flights, sizeof(fake.patching.flights));
	for (uint32_t i = 0; i < RF_FLIGHTS; i++)
		rf_bound_flight(&fake.patching.flights[i]);
	change(fake.entries, sizeof(fake.entries));
}

static void change_kernel(void)
{
	uint16_t how = (uint16_t)number(2);

	fake.discover_err = how & 1 ? -ENOENT : 0;
	fake.image_err = how & 2 ? -EBADMSG : 0;
	fake.textpatch_err = how & 4 ? -ENOENT : 0;
	fake.no_types = how & 8;
	fake.has_tables = how & 16;
	fake.kexec = how & 64 ? IMAGE_GVA + 0x2100 : 0;
	fake.poker = how & 128 ? IMAGE_GVA + 0x2200 : 0;
	fake.store_err = how & 256 ? -ENOENT : 0;
	fake.without = how & 512 ? "system_state" : NULL;
	fake.nothing_kept = how & 1024;
	fake.patch.verdict = (enum rf_patch_verdict)(how >> 11 & 3);
}

static void change_policy(void)
{
	uint8_t how = (uint8_t)number(1);

	guest.policy.mode = how & 1 ? RF_MODE_OBSERVE : RF_MODE_ENFORCE;
	guest.policy.on_unknown_kernel =
		how & 2 ? RF_ON_UNKNOWN_UNSEALED : guest.policy.on_unknown_kernel;
	guest.policy.pin_tables = how & 4;
	guest.policy.seal_text = !(how & 8);
	guest.policy.seal_rodata = !(how & 16);
	guest.policy.dma_sweep_ms = how & 32 ? 1 : guest.policy.dma_sweep_ms;
}

static void time_passes(void)
{
	int err;

	memset(guest.ticked_ns, 0, sizeof(guest.ticked_ns));
	memset(guest.swept_ns, 0, sizeof(guest.swept_ns));
	err = rf_guest_poll(&guest);
	if (!err)
		err = rf_guards_tick(&guest);
	if (!err)
		err = rf_guards_step(&guest);
	if (!err)
		err = rf_guards_sweep(&guest);
	if (err)
		next_monitor();
}

/* Soon where there is something: announced, watched, sealed. */
static void boot(void)
{
	union rf_backend_message m = { .event = fake_kernel_event(LSTAR) };

	say(&m);
	m.event = fake_event(RF_EVENT_WATCH);
	say(&m);
}

static void step(void)
{
	uint8_t how = (uint8_t)number(1);

	switch (how & 15) {
	case 0:
	case 1:
	case 2:
	case 3:
		say_event(how >> 4);
		break;
	case 4:
		say_outcome();
		break;
	case 5:
		answer_commands();
		break;
	case 6:
		change_board();
		break;
	case 7:
		change(how & 16 ? fake.decoy : fake.ram, RAM_SIZE);
		break;
	case 8:
		change_trail();
		break;
	case 9:
		change_kernel();
		break;
	case 10:
		change_policy();
		break;
	case 11:
		time_passes();
		break;
	case 12:
		next_monitor();
		break;
	case 13:
		fake.heals_head += number(2);
		change(fake.heals, sizeof(fake.heals));
		for (int i = 0; i < RF_HEALS; i++)
			rf_bound_heal(&fake.heals[i]);
		break;
	default:
		boot();
	}
	must(guest.regions_count <= RF_SEAL_MAX && guest.traps_count <= RF_TRAP_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	data = input;
	left = size;
	if (fake_setup(NULL))
		abort();
	fake.info.next_event = 1;
	attach();
	for (int i = 0; i < STEPS && left; i++)
		step();
	fake.image_err = fake.discover_err = 0;
	/* It counts what is left of kernels and tables. */
	if (fake_teardown(NULL))
		abort();
	return 0;
}
