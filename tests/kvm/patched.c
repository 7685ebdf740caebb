// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/kvm/patched.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hv/text.h"

const uint8_t nop5[2][5] = { { 0x0f, 0x1f, 0x44, 0x00, 0x00 }, { 0x66, 0x66, 0x66, 0x66, 0x90 } };
const uint8_t ltr[3] = { 0x0f, 0x00, 0xd9 };
struct rf_patch_table *table;

const struct rf_region text_and_rodata[2] = {
	{ SEALED, SEALED_SIZE, SEALED, RF_REGION_TEXT, 0 },
	{ OTHER, 0x1000, OTHER, RF_REGION_RODATA, 0 },
};

struct rf_patch_table *use_table(uint64_t kernel)
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
	t->shapes_count = 2;
	t->shapes[0] = (struct rf_shape){ .len = 5, .count = 2 };
	for (int i = 0; i < 2; i++) {
		t->shapes[0].forms[i].how = RF_FORM_BYTES;
		memcpy(t->shapes[0].forms[i].bytes, nop5[i], 5);
	}
	t->shapes[1] = (struct rf_shape){ .len = 1, .flags = RF_SHAPE_DIRECT, .count = 2 };
	t->shapes[1].forms[0] = (struct rf_form){ .how = RF_FORM_BYTES, .bytes = { 0x90 } };
	t->shapes[1].forms[1] = (struct rf_form){ .how = RF_FORM_BYTES, .bytes = { 0xf8 } };
	t->sites_count = 3;
	t->sites[0] = (struct rf_patch_site){ .at = FIVE - SEALED, .kind = RF_SITE_JUMP_LABEL };
	t->sites[1] =
		(struct rf_patch_site){ .at = BYTE - SEALED, .shape = 1, .kind = RF_SITE_SMP_LOCK };
	t->sites[2] = (struct rf_patch_site){ .at = BYTE2 - SEALED,
					      .shape = 1,
					      .kind = RF_SITE_SMP_LOCK };
	t->kernel = kernel;
	CHECK_EQ(rf_text_use(fd), 0);
	close(fd);
	return table = t;
}

uint64_t patched_machine(unsigned cpus)
{
	uint64_t kernel;

	protected_machine(cpus);
	fill_pattern();
	memcpy(vm.ram + FIVE, nop5[0], 5);
	vm.ram[BYTE] = vm.ram[BYTE2] = 0x90;
	memcpy(vm.ram + TRAPPED, ltr, sizeof(ltr));
	kernel = kernel_starts(0);
	CHECK_EQ(monitor_seal(kernel, text_and_rodata, 2), 0);
	kernel_goes_on(kernel);
	use_table(kernel);
	return kernel;
}

void plant_trap(uint64_t kernel)
{
	struct rf_msg_traps m = { .kernel = kernel, .count = 1 };

	rf_msg_init(&m.h, RF_MSG_TRAPS, 0);
	m.sites[0] = (struct rf_trap_site){ .gpa = TRAPPED, .len = 3, .kind = RF_TRAP_LTR };
	memcpy(m.sites[0].bytes, ltr, sizeof(ltr));
	CHECK_EQ(monitor_traps(&m), 0);
	CHECK_EQ(sealed_copy(TRAPPED)[0], 0xe6);
}
