// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#endif

const char *rf_program_text(enum rf_program p)
{
	switch (p) {
	case RF_PROGRAM_OK:
		return NULL;
	case RF_PROGRAM_SCRIPT:
		return "is a script, not the VMM itself";
	case RF_PROGRAM_NOT_ELF:
		return "is not an ELF program";
	case RF_PROGRAM_FOREIGN:
		return "is not a program for this machine";
	case RF_PROGRAM_MALFORMED:
		return "has a damaged ELF header";
	case RF_PROGRAM_STATIC:
		return "is statically linked";
	case RF_PROGRAM_PRIVILEGED:
		return "is set-user-id, set-group-id or has file capabilities";
	}
	return "cannot be judged";
}

enum rf_program rf_program_judge(const uint8_t *head, size_t len)
{
	Elf64_Ehdr e;

	if (len >= 2 && head[0] == '#' && head[1] == '!')
		return RF_PROGRAM_SCRIPT;
	if (len < SELFMAG || memcmp(head, ELFMAG, SELFMAG))
		return RF_PROGRAM_NOT_ELF;
	if (len < sizeof(e))
		return RF_PROGRAM_MALFORMED;
	memcpy(&e, head, sizeof(e));
	if (e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_machine != MACHINE ||
	    (e.e_type != ET_EXEC && e.e_type != ET_DYN))
		return RF_PROGRAM_FOREIGN;
	if (e.e_phentsize != sizeof(Elf64_Phdr) || e.e_phoff > len ||
	    (len - e.e_phoff) / sizeof(Elf64_Phdr) < e.e_phnum)
		return RF_PROGRAM_MALFORMED;
	for (unsigned int i = 0; i < e.e_phnum; i++) {
		Elf64_Phdr p;

		memcpy(&p, head + e.e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type == PT_INTERP)
			return RF_PROGRAM_OK;
	}
	return RF_PROGRAM_STATIC;
}

int rf_program_check(const char *path, enum rf_program *out)
{
	uint8_t head[RF_PROGRAM_HEAD];
	struct stat st;
	size_t len = 0;
	int fd, err = 0;
	ssize_t n;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	while (!err && len < sizeof(head)) {
		n = read(fd, head + len, sizeof(head) - len);
		if (n < 0 && errno != EINTR)
			err = -errno;
		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
	}
	if (!err) {
		if ((st.st_mode & (S_ISUID | S_ISGID)) ||
		    fgetxattr(fd, "security.capability", NULL, 0) > 0)
			*out = RF_PROGRAM_PRIVILEGED;
		else
			*out = rf_program_judge(head, len);
	}
	close(fd);
	return err;
}
