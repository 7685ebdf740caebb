/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What surrounds hv/life.c in its tests: the fence's real memory, text and watch, a KVM that takes
 * every slot, and an architecture that is a table. The VM's life is one for the process: each test
 * begins with a reset.
 */
#ifndef RF_TESTS_FAKE_LIFE_H
#define RF_TESTS_FAKE_LIFE_H

#include "hv/arch.h"
#include "hv/board.h"
#include "hv/guestmem.h"
#include "hv/life.h"
#include "hv/seal.h"
#include "hv/text.h"
#include "hv/watch.h"
#include "tests/unit/fake_vcpus.h"

#define RAM_GPA UINT64_C(0x1000000)
#define PAGES 32u
#define RAM_SIZE (PAGES * RF_PAGE_SIZE)
#define TEXT_GPA (RAM_GPA + 4 * RF_PAGE_SIZE)
#define TEXT_SIZE (4 * RF_PAGE_SIZE)
#define TEXT_GVA UINT64_C(0xffffffff81000000)
#define RODATA_GPA (TEXT_GPA + TEXT_SIZE)
#define WORD_GPA (RAM_GPA + 16 * RF_PAGE_SIZE + 0x10)
#define RUNNING 3
#define ENTRY (TEXT_GVA + 0x80)
#define OTHER_ENTRY (TEXT_GVA + 0x1000080)
#define SITE 0x100u

/* The architecture: what it answers, what was asked of it. */
struct arch {
	struct rf_cpu_state cpu[4];
	unsigned pins, plants, disarms, abandoned;
	struct rf_vcpu *pin_boot;
	bool pin_again;
	const struct rf_vcpu *disarm_first;
	int pin_err;
};
extern struct arch arch;

extern struct rf_board_file file;
extern uint8_t *ram;
extern struct rf_patch_table *table;
extern uint64_t now;
extern unsigned kicks; /* all of these: how often */
extern unsigned drops;
extern bool dropped[4];
extern unsigned tells;
extern uint64_t next_id;

#define assert_outcome(o, e, r, h, a)                                                              \
	do {                                                                                       \
		struct rf_life_outcome o_ = (o);                                                   \
		assert_int_equal(o_.event, e);                                                     \
		assert_int_equal(o_.released, r);                                                  \
		assert_int_equal(o_.halted, h);                                                    \
		assert_int_equal(o_.adopted, a);                                                   \
	} while (0)

/* For rf_life_settle() and rf_life_kexec(). */
void drop(struct rf_vcpu *v);
void tell(const struct rf_life_outcome *o);
void tell_kexec(void);

/* What the vCPU is now; and what the VMM loads into it. */
void cpu(uint32_t n, enum rf_vcpu_class class, uint64_t entry);
void load(uint32_t n, enum rf_vcpu_class class, uint64_t entry);

/* All that was loaded is looked at; all at once: a reset. */
struct rf_life_outcome settle(void);
struct rf_life_outcome reset(void);

/* A kernel announced; announced and let. */
struct rf_msg_event announce(uint32_t n, uint64_t entry);
uint64_t kernel(uint32_t n, uint64_t entry);

/* Commands of the monitor, for the kernel with that id. */
struct rf_msg_seal seal_of(uint64_t id, enum rf_seal_how how);
/* A vCPU enters the guest. */
void run(void);

int seal_of_message(const struct rf_msg_seal *m);
/* The first alone leaves the guest where it is. */
int seal_held(uint64_t id, enum rf_seal_how how);
int seal(uint64_t id, enum rf_seal_how how);
int watch(uint64_t id, uint8_t note);
int restore(uint64_t id);
int mend(uint64_t id);
int heal(uint64_t id, uint64_t gpa, uint64_t len, uint64_t taken);
int pin(uint64_t id);
int plant(uint64_t id);

/* A kernel that is watched and sealed. */
uint64_t sealed(uint8_t note);
bool is_sealed(void);
enum rf_life_may may(uint32_t n);

/* cmocka fixtures: of the group, and as a VM that begins. */
int once(void **state);
int setup(void **state);

#endif
