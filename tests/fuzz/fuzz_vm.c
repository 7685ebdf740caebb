// SPDX-License-Identifier: LGPL-2.1-or-later
/* A vm.json, which is another user's word where root reads it: nothing of it is longer than its
 * place, and what is printed as it is are hexadecimal digits. */
#include <stdlib.h>
#include <string.h>

#include "cli/vm.h"
#include "policy/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rf_vm vm = { .name = "folder" };

	rf_vm_parse((const char *)data, size, &vm);
	if (strnlen(vm.name, sizeof(vm.name)) > RF_NAME_MAX ||
	    (strcmp(vm.name, "folder") != 0 && !rf_name_valid(vm.name)))
		abort();
	if (strnlen(vm.audit, sizeof(vm.audit)) == sizeof(vm.audit) ||
	    strnlen(vm.policy.name, sizeof(vm.policy.name)) == sizeof(vm.policy.name))
		abort();
	if (vm.policy.sha256[strspn(vm.policy.sha256, "0123456789abcdef")])
		abort();
	return 0;
}
