/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a made-up kernel (fake_types.h) has the members of its tasks. */
#ifndef RF_TESTS_UNIT_FAKE_TASKS_H
#define RF_TESTS_UNIT_FAKE_TASKS_H

#include "tests/unit/fake_types.h"

/* HEAD: of its threads, in the signal_struct that stands there. */
enum {
	TASKS = 0,
	PID = 16,
	TGID = 20,
	COMM = 24,
	SIGNAL = 40,
	NODE = 48,
	CRED = 64,
	FLAGS = 72,
	STATE = 76,
	EXIT_STATE = 80,
	PARENT = 88,
	LEADER = 96,
	ITS_MM = 104,
	HEAD = 0x100,
};

static inline void fake_task_types(uint64_t init_task)
{
	fake_symbol("init_task", init_task);
	fake_member("task_struct", "tasks", TASKS, 16);
	fake_member("task_struct", "pid", PID, 4);
	fake_member("task_struct", "tgid", TGID, 4);
	fake_member("task_struct", "comm", COMM, 16);
	fake_member("task_struct", "signal", SIGNAL, 8);
	fake_member("task_struct", "thread_node", NODE, 16);
	fake_member("task_struct", "real_cred", CRED, 8);
	fake_member("task_struct", "flags", FLAGS, 4);
	fake_member("task_struct", "real_parent", PARENT, 8);
	fake_member("signal_struct", "thread_head", 0, 16);
}

#endif
