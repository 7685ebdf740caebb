// SPDX-License-Identifier: LGPL-2.1-or-later
/* Logs, opened so that they can be believed in and are found again after a crash. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/paths.h"
#include "cli/run.h"
#include "policy/chain.h"
#include "policy/foldlog.h"

int rf_run_open_log(int folder, const char *name, struct rf_why *why)
{
	return rf_file_keep(folder, name, O_RDWR | O_APPEND, 0600, why);
}

/* Both in one folder, which the caller closes: the patch log is found by the audit log's name. */
static int open_both(struct rf_run *r, struct rf_folder *folder, struct rf_why *why)
{
	char name[NAME_MAX + 1], patches[PATH_MAX];
	int err = rf_folder_above(r->audit_path, r->audit ? RF_WAY_USE : RF_WAY_MAKE, why, folder,
				  name);

	if (!err)
		err = rf_patches_path(name, patches);
	if (err)
		return err;
	r->audit_fd = rf_run_open_log(folder->fd, name, why);
	if (r->audit_fd < 0)
		return r->audit_fd;
	err = rf_run_share_log(r->audit_fd);
	if (err)
		return err;
	r->patches_fd = rf_run_open_log(folder->fd, patches, why);
	if (r->patches_fd < 0)
		return r->patches_fd;
	rf_folder_sync(folder->fd);
	return 0;
}

int rf_run_open_logs(struct rf_run *r, struct rf_why *why)
{
	struct rf_folder folder = RF_FOLDER_NONE;
	int err = 0;

	if (r->audit && strlen(r->audit) >= sizeof(r->audit_path))
		err = -ENAMETOOLONG;
	else if (r->audit)
		strcpy(r->audit_path, r->audit);
	else if (geteuid() == 0)
		err = rf_audit_default(r->name, r->audit_path);
	else
		err = rf_path_join(r->state_dir, RF_FILE_AUDIT, r->audit_path);
	if (!err)
		err = open_both(r, &folder, why);
	rf_folder_close(&folder);
	if (err)
		return err;
	/* For `audit tail NAME`, which runs elsewhere. */
	rf_place_of(r->audit_fd, r->audit_path);
	r->chain_fd = rf_chain_create();
	return r->chain_fd < 0 ? r->chain_fd : rf_fold_create(&r->fold_fd);
}
