// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The vdso: code of the kernel's that every process runs in user mode (arch/x86/entry/vdso/). What
 * stands in it is sealed; here is whether each process is given that one.
 */
#include <errno.h>
#include <stdio.h>

#include "introspection/checks/families.h"
#include "introspection/checks/slots.h"

/* As 6.1 and 6.12 call them, and 7.3. */
static const char *const images[] = {
	"vdso_image_64|vdso64_image",
	"vdso_image_32|vdso32_image",
	"vdso_image_x32|vdsox32_image",
};
#define IMAGES (sizeof(images) / sizeof(images[0]))

static const char *const mappings[] = { "vdso_mapping", "vvar_mapping|vdso_vvar_mapping",
					"vvar_vclock_mapping" };

struct layout {
	uint64_t images[IMAGES]; /* 0: the kernel has not got that one */
	uint64_t data, size;	 /* of struct vdso_image */
	uint64_t tasks, mm, image, pid;
};

static int look_at_image(struct rf_run *run, const struct layout *l, uint64_t image)
{
	uint64_t data, size;
	int err = rf_run_u64(run, image + l->data, &data);

	rf_run_saw(run);
	if (!err)
		err = rf_run_u64(run, image + l->size, &size);
	if (err)
		return err;
	if (rf_run_in_rodata(run, image) && rf_run_in_rodata(run, data) &&
	    rf_run_in_rodata(run, data + size - 1))
		return 0;
	return rf_run_found(run, image, "vdso", data,
			    "its pages do not lie in the kernel's read-only data");
}

static int look_at_mappings(struct rf_run *run)
{
	uint64_t at;
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(mappings) / sizeof(mappings[0]); i++)
		if (!rf_run_symbol(run, mappings[i], &at))
			err = rf_run_functions(run, "vm_special_mapping", at, mappings[i]);
	return err;
}

/* Kernel threads have no memory of their own, other programs may have come without a vdso. */
static int look_at_process(struct rf_run *run, uint64_t task, void *ctx)
{
	const struct layout *l = ctx;
	uint64_t mm, image;
	uint32_t pid;
	char what[32];
	int err = rf_run_u64(run, task + l->mm, &mm);

	if (err || !mm)
		return err;
	rf_run_saw(run);
	if ((err = rf_run_u64(run, mm + l->image, &image)) ||
	    (err = rf_run_u32(run, task + l->pid, &pid)))
		return err;
	for (size_t i = 0; i < IMAGES; i++)
		if (!image || image == l->images[i])
			return 0;
	snprintf(what, sizeof(what), "vdso of task %d", (int)pid);
	return rf_run_found(run, mm, what, image, "it is none of the kernel's");
}

static int look_at_vdso(struct rf_run *run)
{
	struct layout l = { 0 };
	unsigned int found = 0;
	uint64_t init;
	int err;

	if ((err = rf_run_member(run, "vdso_image", "data", 8, &l.data)) ||
	    (err = rf_run_member(run, "vdso_image", "size", 8, &l.size)) ||
	    (err = rf_run_member(run, "task_struct", "tasks", 16, &l.tasks)) ||
	    (err = rf_run_member(run, "task_struct", "mm", 8, &l.mm)) ||
	    (err = rf_run_member(run, "task_struct", "pid", 4, &l.pid)) ||
	    (err = rf_run_member(run, "mm_struct", "context.vdso_image", 8, &l.image)) ||
	    (err = rf_run_symbol(run, "init_task", &init)))
		return err;
	for (size_t i = 0; !err && i < IMAGES; i++) {
		if (rf_run_symbol(run, images[i], &l.images[i]))
			continue;
		found++;
		err = look_at_image(run, &l, l.images[i]);
	}
	if (!err && !found)
		return rf_run_lacks(run, "the kernel has no symbol of its vdso");
	if (!err)
		err = look_at_mappings(run);
	return err ? err : rf_run_list(run, init + l.tasks, l.tasks, look_at_process, &l);
}

const struct rf_check rf_check_vdso = {
	.name = "vdso",
	.summary = "the vdso of each process is the kernel's own",
	.reading = "somebody's code runs in every process, whenever it asks for the time",
	.attack = "T1055.014",
	.severity = RF_SEVERITY_HIGH,
	.period_ms = 10000,
	.reads = 1 << 18,
	.run = look_at_vdso,
};
