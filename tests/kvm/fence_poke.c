// SPDX-License-Identifier: LGPL-2.1-or-later
/* Traps in functions of the kernel's: its patcher, where what the table allows is done and all else
 * goes on; and kexec. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hv/text.h"
#include "patch/table.h"
#include "tests/kvm/scenario.h"

/* A patcher that ends in two ways: RBX says whether it was left at its end. */
GUEST(t_poker, "push %rbx\n sub $0x40, %rsp\n mov $1, %ebx\n mov $0x7e, %eax\n add $0x40, %rsp\n "
	       "mov %rbx, %r12\n pop %rbx\n ret");
GUEST(g_call, "call *%r8");

#define TRAP (SEALED + 1)
#define TRAP_LEN 4
#define SITE (SEALED + 0x800)
#define PAD (SITE + 0x40)
#define SOURCE (DATA + 0x100)
#define HOW 0x1234

static const uint8_t nop5[5] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
static const uint8_t other[5] = { 0x66, 0x66, 0x66, 0x66, 0x90 };
static const uint8_t wrong[5] = { 0xe9, 1, 2, 3, 4 };
static const uint8_t *second_form;

/* sarq $5, %gs:(%rip) and the distance from PAD to SEALED; and what is filled with it. */
static uint8_t thunk[9] = { 0x65, 0x48, 0xc1, 0x3d, 0, 0, 0, 0, 5 };
static const uint8_t nops[9] = { 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90 };

/* One site of two forms, both of them NOPs; and padding before a function. */
static void give_table(uint64_t kernel)
{
	int fd = memfd_create("table", MFD_ALLOW_SEALING);
	struct rf_patch_table *t;

	CHECK(fd >= 0 && !ftruncate(fd, sizeof(*t)));
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(t != MAP_FAILED);
	t->magic = RF_TABLE_MAGIC;
	t->revision = RF_TABLE_REVISION;
	t->base = SEALED;
	t->size = SEALED_SIZE;
	t->shapes_count = t->sites_count = 2;
	t->shapes[0] = (struct rf_shape){ .len = 5, .count = 2 };
	t->shapes[0].forms[0].how = t->shapes[0].forms[1].how = RF_FORM_BYTES;
	memcpy(t->shapes[0].forms[0].bytes, nop5, 5);
	memcpy(t->shapes[0].forms[1].bytes, second_form, 5);
	t->sites[0] = (struct rf_patch_site){ .at = SITE - SEALED, .kind = RF_SITE_JUMP_LABEL };
	memcpy(thunk + 4, &(int32_t){ (int32_t)(SEALED - (PAD + 9)) }, 4);
	t->shapes[1] = (struct rf_shape){ .len = 9, .flags = RF_SHAPE_FILLED, .count = 2 };
	t->shapes[1].forms[0] = (struct rf_form){ .how = RF_FORM_REL32, .op_len = 4 };
	t->shapes[1].forms[1].how = RF_FORM_BYTES;
	memcpy(t->shapes[1].forms[0].bytes, thunk, 9);
	memcpy(t->shapes[1].forms[1].bytes, nops, 9);
	t->sites[1] = (struct rf_patch_site){
		.at = PAD - SEALED, .shape = 1, .kind = RF_SITE_CALL_THUNK, .target = SEALED
	};
	t->kernel = kernel;
	CHECK_EQ(rf_text_use(fd), 0);
	munmap(t, sizeof(*t));
	close(fd);
}

static struct rf_msg_traps message(uint64_t kernel)
{
	const size_t back = (size_t)(t_poker_end - t_poker) - 3; /* pop, ret and GUEST()'s hlt */
	struct rf_msg_traps m = { .kernel = kernel,
				  .count = 1,
				  .poke = { HOW, SEALED + back, 0x40, 0 } };

	rf_msg_init(&m.h, RF_MSG_TRAPS, 0);
	m.sites[0] = (struct rf_trap_site){ .gpa = TRAP, .len = TRAP_LEN, .kind = RF_TRAP_POKE };
	memcpy(m.sites[0].bytes, t_poker + 1, TRAP_LEN);
	return m;
}

static uint64_t poked_machine(void)
{
	const struct rf_region text = { SEALED, SEALED_SIZE, SEALED, RF_REGION_TEXT, 0 };
	uint64_t kernel;

	protected_machine(1);
	memcpy(vm.ram + SEALED, t_poker, (size_t)(t_poker_end - t_poker));
	memcpy(vm.ram + SITE, nop5, 5);
	memcpy(vm.ram + PAD, nops, 9);
	second_form = other;
	kernel = kernel_starts(0);
	CHECK_EQ(monitor_seal(kernel, &text, 1), 0);
	kernel_goes_on(kernel);
	give_table(kernel);
	return kernel;
}

/* __text_poke(how, to, from, len) from the guest; true when it was done for it. */
static bool poke(uint64_t how, uint64_t to, uint64_t from, uint64_t len)
{
	struct cpu *c = &vm.cpus[0];
	uint64_t poked = monitor_count(RF_COUNT_POKED);
	struct kvm_regs r;
	bool done;

	CPU_START(c, g_call, .r8 = SEALED, .rdi = how, .rsi = to, .rdx = from, .rcx = len,
		  .rbx = 7);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK(!cpu_faulted(c, &(struct fault){ 0 }));
	r = cpu_regs(c);
	CHECK_EQ(r.rbx, 7);
	CHECK_EQ(r.rsp, STACK + 0x1000);
	CHECK_EQ(r.rip, cpu_code(c) + (uint64_t)(g_call_end - g_call));
	done = monitor_count(RF_COUNT_POKED) == poked + 1;
	CHECK_EQ(r.rax, done ? to : 0x7e);
	CHECK_EQ(r.r12, done ? 0 : 1);
	return done;
}

static bool poke_bytes(uint64_t to, const void *bytes, size_t len)
{
	memcpy(vm.ram + SOURCE, bytes, len);
	return poke(HOW, to, SOURCE, len);
}

void text_poked(void)
{
	const uint8_t int3 = 0xcc;
	uint64_t kernel = poked_machine();
	struct rf_msg_traps m = message(kernel);
	uint64_t writes = monitor_count(RF_COUNT_WRITE);

	CHECK_EQ(monitor_traps(&m), 0);
	CHECK(poke_bytes(SITE, &int3, 1));
	CHECK_EQ(*sealed_copy(SITE), 0xcc);
	CHECK_EQ(vm.ram[SITE], 0xcc);
	/* A legal one whose bytes lie on two pages, which need not be neighbours. */
	memcpy(vm.ram + DATA + 0x1000 - 2, other + 1, 4);
	CHECK(!poke(HOW, SITE + 1, DATA + 0x1000 - 2, 4));
	CHECK(!memcmp(sealed_copy(SITE + 1), nop5 + 1, 4));
	memmove(vm.ram + DATA + 0x1000 - 4, other + 1, 4);
	CHECK(poke(HOW, SITE + 1, DATA + 0x1000 - 4, 4)); /* up to a page's end */
	CHECK(poke_bytes(SITE + 1, other + 1, 4));
	CHECK(poke_bytes(SITE, other, 1));
	CHECK(!memcmp(sealed_copy(SITE), other, 5));
	/* What is longer than any instruction of a site's, in one go. */
	CHECK(poke_bytes(PAD, thunk, 9));
	CHECK(!memcmp(sealed_copy(PAD), thunk, 9));
	CHECK(!memcmp(vm.ram + PAD, thunk, 9));
	CHECK(!poke_bytes(PAD, nops, 9));
	CHECK(!poke(HOW, PAD, SOURCE, 10));
	CHECK(!memcmp(sealed_copy(PAD), thunk, 9));
	CHECK_EQ(monitor_count(RF_COUNT_WRITE), writes);
	CHECK_EQ(monitor_events(), 1); /* the kernel's */

	/* Not legal, no site, no text, no copy, no length, no source: as if there were no trap,
	 * where the policy observes. */
	CHECK(!poke_bytes(SITE, wrong, 5));
	CHECK(!poke_bytes(SITE + 16, &int3, 1));
	CHECK(!poke_bytes(DATA, &int3, 1));
	CHECK(!poke_bytes(UINT64_C(0xffffffff81000000), &int3, 1));
	CHECK(!poke(HOW + 1, SITE, SOURCE, 1));
	CHECK(!poke(0, SITE, SOURCE, 1));
	CHECK(!poke(HOW, SITE, SOURCE, 0));
	CHECK(!poke(HOW, SITE, SOURCE, 7));
	CHECK(!poke(HOW, SITE, SOURCE, 11));
	CHECK(!poke(HOW, SITE, SOURCE, UINT64_MAX));
	CHECK(!poke(HOW, SITE + 1, DATA + 0x1000 - 3, 4)); /* on two pages */
	CHECK(!poke(HOW, SITE, NOWHERE, 1));
	CHECK(!poke(HOW, SITE, SITE, 1)); /* sealed: the guest's own copy is not ours to read */
	CHECK(!poke(HOW, SITE, UINT64_C(1) << 62, 1));
	CHECK(!memcmp(sealed_copy(SITE), other, 5));
	CHECK_EQ(monitor_events(), 1);

	machine_reset();
	CHECK_EQ(monitor_board()->traps_count, 0);
}

static struct rf_msg_verdict told;

static bool say_of_patch(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	if (ev->kind != RF_EVENT_TRAP)
		return true;
	fault_where_it_is(ev, v);
	v->verdict = told.verdict;
	v->vector = told.vector;
	v->error_code = told.error_code;
	v->cr2 = told.cr2;
	if (told.verdict == RF_VERDICT_SETTLE)
		give_table(told.id);
	return true;
}

/* What is asked about, and done or dropped: the function goes no way of its own. */
static void asked(uint64_t to, const void *bytes, uint8_t len)
{
	struct cpu *c = &vm.cpus[0];
	unsigned heard = monitor_events();
	struct rf_msg_event ev;
	uint8_t stood[16];

	memcpy(stood, sealed_copy(to), sizeof(stood));
	memcpy(vm.ram + SOURCE, bytes, len);
	CPU_START(c, g_call, .r8 = SEALED, .rdi = HOW, .rsi = to, .rdx = SOURCE, .rcx = len,
		  .rbx = 7);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK(!cpu_faulted(c, &(struct fault){ 0 }));
	CHECK_EQ(cpu_regs(c).rax, to); /* as if it had been made */
	CHECK_EQ(cpu_regs(c).r12, 0);  /* and the function's own way was not gone */
	CHECK_EQ(cpu_regs(c).rbx, 7);
	CHECK_EQ(cpu_regs(c).rsp, STACK + 0x1000);
	CHECK(monitor_events() == heard + 1);
	ev = monitor_event(heard, RF_EVENT_TRAP);
	CHECK_EQ(ev.trap.kind, RF_TRAP_POKE);
	CHECK_EQ(ev.regs.rip, TRAP);
	CHECK_EQ(ev.write.gpa, to);
	CHECK_EQ(ev.write.len, len);
	CHECK(!memcmp(ev.write.bytes, bytes, len));
	if (told.verdict == RF_VERDICT_DENY && *stood != 0xcc)
		CHECK(!memcmp(sealed_copy(to), stood, sizeof(stood)));
}

/* A change that the table does not allow is asked about before the kernel's function has begun. */
void patch_dropped(void)
{
	const uint8_t int3 = 0xcc;
	struct cpu *c = &vm.cpus[0];
	struct rf_msg_traps m;
	uint8_t longest[RF_EVENT_BYTES] = { 0x90 };
	struct fault f;
	uint64_t kernel;

	monitor_rules = (struct rf_rules){ 0 };
	kernel = poked_machine();
	m = message(kernel);
	CHECK_EQ(monitor_traps(&m), 0);
	monitor_set_judge(say_of_patch);
	told = (struct rf_msg_verdict){ .verdict = RF_VERDICT_DENY };
	asked(SITE, wrong, 5);
	asked(SITE + 16, &int3, 1);
	asked(SITE, longest, sizeof(longest));
	/* Half way: the int3 goes too. */
	CHECK(poke_bytes(SITE, &int3, 1));
	asked(SITE + 1, wrong, 4);
	CHECK(!memcmp(sealed_copy(SITE), nop5, 5));
	CHECK(poke_bytes(SITE, &int3, 1));
	CHECK(poke_bytes(SITE + 1, other + 1, 4));
	CHECK(poke_bytes(SITE, other, 1));

	/* What the monitor did not know either. */
	second_form = wrong;
	told = (struct rf_msg_verdict){ .verdict = RF_VERDICT_SETTLE, .id = kernel };
	CHECK(poke_bytes(SITE, &int3, 1));
	asked(SITE + 1, wrong + 1, 4);
	CHECK(poke_bytes(SITE, wrong, 1)); /* nobody need be asked any more */
	CHECK(!memcmp(sealed_copy(SITE), wrong, 5));

	/* What is none of sealed text's, or not taken whole, goes on as if there were no trap. */
	CHECK(!poke_bytes(DATA, &int3, 1));
	CHECK(!poke(HOW + 1, SITE, SOURCE, 1));
	CHECK(!poke(HOW, SITE, SOURCE, RF_EVENT_BYTES + 1));
	CHECK(!poke(HOW, SITE + 1, DATA + 0x1000 - 3, 4)); /* on two pages */
	CHECK(!poke(HOW, SITE, NOWHERE, 1));
	CHECK(!poke(HOW, SEALED + SEALED_SIZE - 2, SOURCE, 4)); /* text ends in it */

	told = (struct rf_msg_verdict){
		.verdict = RF_VERDICT_DENY, .vector = 14, .error_code = 3, .cr2 = SITE
	};
	memset(vm.ram + SOURCE, 0xee, 5);
	CPU_START(c, g_call, .r8 = SEALED, .rdi = HOW, .rsi = SITE, .rdx = SOURCE, .rcx = 5);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK(cpu_faulted(c, &f));
	CHECK_EQ(f.vector, 14);
	CHECK_EQ(f.rip, TRAP);
	CHECK(!memcmp(sealed_copy(SITE), wrong, 5));
}

static void call(uint32_t verdict)
{
	uint64_t kernel;
	struct rf_msg_traps m;

	monitor_rules = (struct rf_rules){ 0 };
	kernel = poked_machine();
	m = message(kernel);
	CHECK_EQ(monitor_traps(&m), 0);
	told = (struct rf_msg_verdict){ .verdict = verdict, .id = kernel };
	monitor_set_judge(say_of_patch);
	asked(SITE, wrong, 5);
}

static void called_legal(void)
{
	call(RF_VERDICT_SETTLE);
}

static void let_pass(void)
{
	call(RF_VERDICT_ALLOW);
}

/* The monitor's word alone makes none, and is not asked for without end. */
void patch_called_legal(void)
{
	ends_the_vm(called_legal, "calls a store legal that its table does not allow");
	ends_the_vm(let_pass, "lets a change that the policy does not");
}

void poke_rules(void)
{
	uint64_t kernel = poked_machine();
	struct rf_msg_traps m = message(kernel);

	m.poke.back = SEALED + SEALED_SIZE;
	CHECK_EQ(monitor_traps(&m), -EINVAL);
	m.poke.back = SEALED - 1;
	CHECK_EQ(monitor_traps(&m), -EINVAL);
	m = message(kernel);
	m.sites[1] = m.sites[0];
	m.sites[1].gpa += TRAP_LEN;
	m.count = 2;
	CHECK_EQ(monitor_traps(&m), -EINVAL); /* one at most */
	CHECK_EQ(monitor_board()->traps_count, 0);
}

/* --- kexec -------------------------------------------------------------------- */

static uint32_t word;

static bool say(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	v->verdict = word;
	fault_where_it_is(ev, v);
	return true;
}

/* The same code: its `sub` is where another kernel takes over. */
static void about_to_kexec(uint32_t verdict)
{
	uint64_t kernel = poked_machine();
	struct rf_msg_traps m = message(kernel);

	m.sites[0].kind = RF_TRAP_KEXEC;
	CHECK_EQ(monitor_traps(&m), 0);
	word = verdict;
	monitor_set_judge(say);
	CPU_START(&vm.cpus[0], g_call, .r8 = SEALED, .rbx = 7);
	CHECK_EQ(cpu_wait(&vm.cpus[0]), KVM_EXIT_HLT);
}

void kexec_denied(void)
{
	struct fault f;

	about_to_kexec(RF_VERDICT_DENY);
	CHECK(cpu_faulted(&vm.cpus[0], &f));
	CHECK_EQ(f.vector, 13);
	CHECK_EQ(f.rip, TRAP);
	CHECK_EQ(monitor_event(1, RF_EVENT_TRAP).trap.kind, RF_TRAP_KEXEC);
	CHECK_EQ(monitor_board()->state, RF_VM_SEALED);
}

void kexec_let(void)
{
	struct cpu *c = &vm.cpus[0];
	uint64_t kernel;

	about_to_kexec(RF_VERDICT_ALLOW);
	CHECK(!cpu_faulted(c, &(struct fault){ 0 }));
	CHECK_EQ(cpu_regs(c).rax, 0x7e); /* on in the instruction itself */
	CHECK_EQ(cpu_regs(c).rsp, STACK + 0x1000);
	monitor_event(2, RF_EVENT_RESET);
	CHECK_EQ(monitor_board()->state, RF_VM_BOOTING);
	CHECK_EQ(monitor_board()->traps_count, 0);
	CHECK(!sealed_copy(TRAP));
	/* The next one. */
	kernel = kernel_starts(3);
	CHECK_EQ(seal_both_fresh(kernel), 0);
	kernel_goes_on(kernel);
	CHECK_EQ(monitor_board()->state, RF_VM_SEALED);
}

/* What the first kernel was sealed with stays kept: the next one that has its entry and place gets
 * no other bytes. */
void kexec_keeps(void)
{
	const struct rf_region text = { SEALED, SEALED_SIZE, SEALED, RF_REGION_TEXT, 0 };
	struct cpu *c = &vm.cpus[0];
	uint64_t kernel;

	about_to_kexec(RF_VERDICT_ALLOW);
	monitor_event(2, RF_EVENT_RESET);
	CHECK_EQ(monitor_board()->kept_entry, KERNEL_ENTRY);
	monitor_set_judge(NULL);
	vm.ram[SITE] = 0xee; /* the guest's own again */
	kernel = kernel_starts(3);
	CHECK_EQ(monitor_seal(kernel, &text, 1), -EEXIST);
	CHECK_EQ(monitor_seal_again(kernel, &text, 1), 0);
	kernel_goes_on(kernel);
	CHECK_EQ(sealed_copy(SITE)[0], nop5[0]);
	/* The instruction, and no trap. */
	CHECK(!memcmp(sealed_copy(TRAP), t_poker + 1, TRAP_LEN));
	store_is_denied(c, SEALED + 0x40);
}

GUEST(g_wrmsr_behind, "wrmsr");

static unsigned asked_of_second;

static bool counts_second(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	asked_of_second += ev->kind == RF_EVENT_TABLES && ev->vcpu == 1;
	v->verdict = RF_VERDICT_ALLOW;
	fault_where_it_is(ev, v);
	return true;
}

/* A vCPU that stands in the kernel of before has registers of that one: they are compared once it
 * is in the next kernel. */
void kexec_leaves_behind(void)
{
	const uint64_t kernel = poked_machine();
	struct rf_msg_traps m = message(kernel);
	struct cpu *c = machine_add_cpu();

	m.sites[0].kind = RF_TRAP_KEXEC;
	CHECK_EQ(monitor_traps(&m), 0);
	monitor_set_judge(counts_second);
	CPU_START(&vm.cpus[0], g_call, .r8 = SEALED, .rbx = 7);
	CHECK_EQ(cpu_wait(&vm.cpus[0]), KVM_EXIT_HLT);
	monitor_event(2, RF_EVENT_RESET);
	monitor_set_judge(NULL);
	m = (struct rf_msg_traps){ .kernel = kernel_starts(3), .check_ms = 10 };
	CHECK_EQ(seal_both_fresh(m.kernel), 0);
	kernel_goes_on(m.kernel);
	rf_msg_init(&m.h, RF_MSG_TRAPS, 0);
	CHECK_EQ(monitor_traps(&m), 0);
	monitor_set_judge(counts_second);
	for (int i = 0; i < 3; i++) {
		usleep(15000);
		guest_read(c, DATA);
	}
	CHECK_EQ(asked_of_second, 0);
	CPU_DO(c, g_wrmsr_behind, .rcx = LSTAR, .rax = (uint32_t)KERNEL_ENTRY,
	       .rdx = KERNEL_ENTRY >> 32);
	usleep(15000);
	guest_read(c, DATA);
	CHECK(asked_of_second > 0);
}
