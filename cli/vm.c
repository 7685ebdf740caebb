// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/paths.h"
#include "cli/safe_file.h"

#define VM_BYTES 65536 /* of a vm.json */

static int lock_held(const struct rf_folder *f)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = rf_file_read_only(f, RF_FILE_LOCK), held = 0;

	if (fd < 0)
		return 0;
	/* Asking does not take it: a `run` that starts meanwhile is not disturbed. */
	if (fcntl(fd, F_OFD_GETLK, &lock) == 0)
		held = lock.l_type != F_UNLCK;
	close(fd);
	return held;
}

/* Any of the files that `run` makes: a folder without one was never a VM's. */
static bool is_state_dir(const struct rf_folder *f)
{
	static const char *const files[] = { RF_FILE_LOCK, RF_FILE_VM, RF_FILE_CONTROL };
	struct stat st;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (fstatat(f->fd, files[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	return false;
}

void rf_vm_parse(const char *text, size_t len, struct rf_vm *vm)
{
	json_t *o = json_loadb(text, len, 0, NULL);
	const char *name = json_string_value(json_object_get(o, "name"));
	const char *audit = json_string_value(json_object_get(o, "audit"));

	if (name && rf_name_valid(name))
		strcpy(vm->name, name);
	if (audit && strlen(audit) < sizeof(vm->audit))
		strcpy(vm->audit, audit);
	vm->vmm_pid = (int)json_integer_value(json_object_get(o, "vmm_pid"));
	vm->started = json_integer_value(json_object_get(o, "started"));
	vm->policy_known = rf_policy_origin_read(json_object_get(o, "policy"), &vm->policy);
	json_decref(o);
}

static void load(const struct rf_folder *f, struct rf_vm *vm)
{
	int fd = rf_file_read_only(f, RF_FILE_VM);
	char *text = fd < 0 ? NULL : malloc(VM_BYTES);
	ssize_t n = text ? read(fd, text, VM_BYTES) : -1;

	if (n > 0 && n < VM_BYTES)
		rf_vm_parse(text, (size_t)n, vm);
	free(text);
	if (fd >= 0)
		close(fd);
}

/* Takes the folder; of *vm the path is known. */
static int read_folder(struct rf_folder *folder, struct rf_why *why, struct rf_vm *vm)
{
	const char *slash = strrchr(vm->state_dir, '/');

	if (!is_state_dir(folder)) {
		rf_folder_close(folder);
		snprintf(why->what, sizeof(why->what), "it has none of a VM's files");
		return -ENODATA;
	}
	vm->folder = *folder;
	rf_safe(vm->name, sizeof(vm->name), slash ? slash + 1 : vm->state_dir);
	vm->alive = lock_held(folder);
	load(folder, vm);
	return 0;
}

static int too_long(struct rf_why *why)
{
	snprintf(why->what, sizeof(why->what), "the path is too long");
	why->todo = "give a shorter path";
	return -ENAMETOOLONG;
}

int rf_vm_read(const char *state_dir, struct rf_why *why, struct rf_vm *out)
{
	struct rf_folder folder;
	struct rf_vm vm = { 0 };
	int err;

	if (strlen(state_dir) >= sizeof(vm.state_dir))
		return too_long(why);
	strcpy(vm.state_dir, state_dir);
	err = rf_folder_open(state_dir, RF_WAY_OTHERS, why, &folder);
	if (!err)
		err = read_folder(&folder, why, &vm);
	if (!err)
		*out = vm;
	return err == -ENOTDIR ? -ENOENT : err;
}

int rf_vm_read_in(const struct rf_folder *in, const char *base, const char *name,
		  struct rf_why *why, struct rf_vm *out)
{
	struct rf_folder folder;
	struct rf_vm vm = { 0 };
	int err;

	if (rf_path_join(base, name, vm.state_dir))
		return too_long(why);
	err = rf_folder_enter(in, name, RF_WAY_OTHERS, why, &folder);
	if (!err)
		err = read_folder(&folder, why, &vm);
	if (!err)
		*out = vm;
	return err;
}

void rf_vm_close(struct rf_vm *vm)
{
	rf_folder_close(&vm->folder);
}

const char *rf_user_text(uid_t uid, char out[RF_USER_TEXT])
{
	const struct passwd *p = getpwuid(uid);

	snprintf(out, RF_USER_TEXT, "%u", uid);
	if (p && strlen(p->pw_name) < RF_USER_TEXT)
		rf_safe(out, RF_USER_TEXT, p->pw_name);
	return out;
}

static void say_whose(const char *what, uid_t owner)
{
	char user[RF_USER_TEXT];

	if (!rf_is_trusted(owner))
		rf_say("%s is of user %s: all that it says is that user's word", what,
		       rf_user_text(owner, user));
}

int rf_vm_find(const char *name, struct rf_vm *out)
{
	char dir[PATH_MAX];
	struct rf_why why = { .todo = NULL };
	int err = rf_state_dir(name, dir);

	if (!err)
		err = rf_vm_read(dir, &why, out);
	if (err == -ENODATA)
		return rf_fail(
			RF_EXIT_NOT_FOUND,
			"it has none of the files that `ringfence run` makes; it is left alone",
			"give a VM's name, or its state folder (see `ringfence list`)",
			"%s is not the state folder of a VM", dir);
	if (err == -EPERM)
		return rf_fail(RF_EXIT_NOT_FOUND, "whose VM that is cannot be known", why.todo,
			       "%s is not asked: %s", dir, why.what);
	if (err)
		return rf_fail(
			RF_EXIT_NOT_FOUND,
			"no VM of that name has its state in the usual place of this user",
			"see `ringfence list`; of another user's VM, or one that was started "
			"with --state, give the state folder (`ringfence list --json` has "
			"it: state_dir)",
			"there is no VM %s", name);
	say_whose(out->name, out->folder.owner);
	return RF_EXIT_OK;
}

int rf_vm_operand(const struct rf_command *c, const struct rf_operands *operands, struct rf_vm *out)
{
	char todo[100];

	if (operands->count == 1)
		return rf_vm_find(operands->items[0], out);
	snprintf(todo, sizeof(todo), "see `ringfence %s --help`", c->name);
	return rf_fail(RF_EXIT_USAGE, "nothing was done", todo, "%s: needs the name of one VM",
		       c->name);
}

static int log_path(const struct rf_vm *vm, char out[PATH_MAX])
{
	if (!vm->audit[0])
		return rf_path_join(vm->state_dir, RF_FILE_AUDIT, out);
	strcpy(out, vm->audit);
	return 0;
}

/* Another user says where his log is: he may say it of his own files alone. And in a folder that
 * others may write somebody may have taken the name of root's, as while it was rotated. */
int rf_vm_log_open(const struct rf_vm *vm, char path[PATH_MAX], struct rf_log *l)
{
	int fd = log_path(vm, path);
	struct rf_why why;

	if (!fd)
		fd = rf_path_read_of(path, vm->folder.owner, &why);
	return fd < 0 ? fd : rf_log_take(fd, path, l);
}

/* --- the log that a word means ------------------------------------------------------------- */

/* What was reported is RF_EXIT_NOT_FOUND. */
static int refuse(const char *path, const struct rf_why *why)
{
	return rf_fail(RF_EXIT_NOT_FOUND, "whose log that is cannot be known", why->todo,
		       "%s is not read: %s", path, why->what);
}

/* Whose it is, is looked at here; who opens it by its path goes the same way again. */
static int log_of(const struct rf_vm *vm, char out[PATH_MAX], uid_t *owner)
{
	char user[RF_USER_TEXT];
	int err = log_path(vm, out), fd;
	struct rf_why why;

	if (err)
		return err;
	*owner = vm->folder.owner;
	fd = rf_path_read_of(out, *owner, &why);
	if (fd >= 0)
		close(fd);
	if (fd != -EPERM)
		return 0;
	return rf_fail(RF_EXIT_NOT_FOUND, "it may be anybody's",
		       "give the log's own path, if you know whose it is",
		       "%s, of user %s, names a log that is not that user's: %s", vm->name,
		       rf_user_text(vm->folder.owner, user), why.what);
}

/* Of a file. RF_EXIT_OK; what was reported; or -errno, which who reads it reports. */
static int look_at(const char *path, uid_t *owner)
{
	struct rf_why why;
	int fd = rf_path_read_only(path, &why, owner);

	if (fd == -EPERM)
		return refuse(path, &why);
	if (fd < 0)
		return fd;
	close(fd);
	say_whose(path, *owner);
	return RF_EXIT_OK;
}

/* A VM's state folder, or that of one that has ended. */
static int by_folder(const char *path, char out[PATH_MAX], uid_t *owner)
{
	struct rf_why why;
	struct rf_vm vm;
	int err = rf_vm_read(path, &why, &vm);

	strcpy(out, path);
	if (!err) {
		say_whose(vm.name, vm.folder.owner);
		err = log_of(&vm, out, owner);
		rf_vm_close(&vm);
	} else if (err == -ENODATA) {
		err = rf_path_join(path, RF_FILE_AUDIT, out);
		if (!err && look_at(out, owner) > 0)
			err = RF_EXIT_NOT_FOUND;
	} else {
		err = err == -ENOENT ? 0 : refuse(path, &why);
	}
	return err;
}

static int by_path(const char *path, char out[PATH_MAX], uid_t *owner)
{
	int err = look_at(path, owner);

	if (err == -EINVAL)
		return by_folder(path, out, owner);
	strcpy(out, path);
	return err > 0 ? err : 0;
}

static int is_not_ours(const char *name, const char *path, uid_t owner)
{
	char user[RF_USER_TEXT];

	return rf_fail(RF_EXIT_NOT_FOUND, "it is not the log of a VM of this user",
		       "give the log's path, if that user's is meant; of a file here ./NAME",
		       "%s: user %s has something in the place of it: %s", name,
		       rf_user_text(owner, user), path);
}

/* A VM that has ended leaves its log. A file of that name here may be anybody's: it comes last. */
static int of_ended(const char *name, char out[PATH_MAX], uid_t *owner)
{
	int err = rf_audit_default(name, out), fd, here;
	struct rf_why why;

	if (err)
		return err;
	fd = rf_path_read_only(out, &why, owner);
	if (fd >= 0) {
		close(fd);
		return rf_is_trusted(*owner) ? 0 : is_not_ours(name, out, *owner);
	}
	if (fd != -ENOENT)
		return fd == -EPERM ? refuse(out, &why) : 0;
	here = look_at(name, owner);
	if (!here)
		strcpy(out, name);
	return here > 0 ? here : 0;
}

static int by_name(const char *name, char out[PATH_MAX], uid_t *owner)
{
	int err = rf_state_dir(name, out);
	struct rf_why why;
	struct rf_vm vm;

	if (err)
		return err;
	err = rf_vm_read(out, &why, &vm);
	if (err == -ENOENT || err == -ENODATA)
		return of_ended(name, out, owner);
	/* Whether a VM of that name has its log there cannot be known, as where `su` has kept the
	 * XDG_RUNTIME_DIR of another user: a file here is not taken for it by itself. */
	if (err == -EACCES)
		why.todo = "correct XDG_RUNTIME_DIR, or give the log's path; of a file here ./NAME";
	if (err)
		return err == -ENAMETOOLONG ? err : refuse(out, &why);
	err = vm.folder.foreign ? is_not_ours(name, out, vm.folder.owner) : log_of(&vm, out, owner);
	rf_vm_close(&vm);
	return err;
}

int rf_vm_log(const char *word, char out[PATH_MAX], uid_t *owner)
{
	bool is_name = !strchr(word, '/') && rf_name_valid(word);
	int err;

	*owner = geteuid(); /* where there is none yet */
	err = strlen(word) >= PATH_MAX ? -ENAMETOOLONG
	      : is_name		       ? by_name(word, out, owner)
				       : by_path(word, out, owner);
	return err >= 0 ? err
			: rf_fail(RF_EXIT_USAGE, "nothing was done", "give a shorter path",
				  "the path of the log is too long");
}
