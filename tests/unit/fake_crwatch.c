// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/fake_crwatch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hv/bpf/impl.h"

struct fake_crwatch fake_crwatch;

__attribute__((noinline)) void rf_test_probed(void);
void rf_test_probed(void)
{
	__asm__ volatile("nop");
}

/* Where that is in this program's file. */
static size_t offset_of(void *function)
{
	unsigned long from, to, offset, at = (unsigned long)function;
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	size_t found = 0;

	if (!f)
		return 0;
	while (!found && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx %*s %lx", &from, &to, &offset) == 3 && at >= from &&
		    at < to)
			found = at - from + offset;
	fclose(f);
	return found;
}

struct bpf_link *bpf_program__attach(const struct bpf_program *p)
{
	if (fake_crwatch.no_attach && ++fake_crwatch.attached >= fake_crwatch.no_attach) {
		errno = ENOENT;
		return NULL;
	}
	return bpf_program__attach_uprobe(p, false, 0, "/proc/self/exe",
					  offset_of((void *)rf_test_probed));
}

int bpf_link__pin(struct bpf_link *link, const char *path)
{
	char name[128];

	/* .../cr-TAG/rf_cr0-new, in place of .../cr-TAG/rf_cr0 */
	snprintf(name, sizeof(name), "%s", path);
	*strrchr(name, '-') = '\0';
	fake_crwatch.gaps += fake_crwatch.replaces && access(name, F_OK);
	return bpf_obj_pin(bpf_link__fd(link), path) ? -errno : 0;
}

int rf_crwatch_prove(const char *kvm, int vms)
{
	if (!fake_crwatch.proofs)
		return 0;
	fake_crwatch.proofs--;
	return fake_crwatch.proof;
}
