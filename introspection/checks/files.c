// SPDX-License-Identifier: LGPL-2.1-or-later
/* File systems: what rootkits take over to hide files and processes, and to be spoken to. */
#include <errno.h>
#include <stdio.h>

#include "introspection/checks/families.h"
#include "introspection/checks/nets.h"
#include "introspection/checks/slots.h"

#define S_IFMT 0170000u /* include/uapi/linux/stat.h */
#define S_IFDIR 0040000u
#define PROC_DEPTH 16u

static const struct rf_slots filesystems[] = {
	{ .what = "file system",
	  .symbol = "file_systems",
	  .shape = RF_SHAPE_CHAIN,
	  .type = "file_system_type",
	  .link = "next",
	  .name = "name" },
	{ .what = "file system",
	  .symbol = "file_systems",
	  .shape = RF_SHAPE_HLIST,
	  .type = "file_system_type",
	  .link = "list",
	  .name = "name" },
	{ 0 },
};

const struct rf_check rf_check_filesystems = {
	.name = "filesystems",
	.summary = "functions of registered file systems are the kernel's or a signed module's",
	.reading = "a file system that somebody registered, or took over",
	.attack = "T1564",
	.severity = RF_SEVERITY_HIGH,
	.period_ms = 10000,
	.reads = 1 << 15,
	.slots = filesystems,
};

static const struct rf_slots superblocks[] = {
	{ .what = "mounted file system",
	  .symbol = "super_blocks",
	  .shape = RF_SHAPE_LIST,
	  .type = "super_block",
	  .link = "s_list",
	  .ops = "s_op",
	  .ops_type = "super_operations",
	  .name = "s_id" },
	{ 0 },
};

const struct rf_check rf_check_superblocks = {
	.name = "superblocks",
	.summary = "operations of mounted file systems are the kernel's or a signed module's",
	.reading = "somebody took a mounted file system over",
	.attack = "T1564",
	.severity = RF_SEVERITY_HIGH,
	.period_ms = 10000,
	.reads = 1 << 16,
	.slots = superblocks,
};

/* --- inodes ---------------------------------------------------------------------- */

struct inodes {
	uint64_t list, link, id, number, fop, iop, mapping, aops;
	uint64_t super; /* whose they are now */
	char name[32];
};

static int look_at_inode(struct rf_run *run, uint64_t inode, void *ctx)
{
	const struct inodes *l = ctx;
	uint64_t number, table, mapping;
	char what[96];
	int err;

	rf_run_saw(run);
	err = rf_run_u64(run, inode + l->number, &number);
	snprintf(what, sizeof(what), "inode %llu of %s", (unsigned long long)number, l->name);
	if (!err)
		err = rf_run_u64(run, inode + l->fop, &table);
	if (!err)
		err = rf_run_table(run, "file_operations", inode, table, what);
	if (!err)
		err = rf_run_u64(run, inode + l->iop, &table);
	if (!err)
		err = rf_run_table(run, "inode_operations", inode, table, what);
	/* What is in the page cache: its own, or of a block device that device's (i_mapping). */
	if (!err)
		err = rf_run_u64(run, inode + l->mapping, &mapping);
	if (err || !mapping)
		return err;
	err = rf_run_u64(run, mapping + l->aops, &table);
	return err ? err : rf_run_table(run, "address_space_operations", inode, table, what);
}

static int look_at_inodes_of(struct rf_run *run, uint64_t super, void *ctx)
{
	struct inodes *l = ctx;
	int err = rf_run_text(run, super + l->id, l->name, sizeof(l->name));

	return err ? err : rf_run_list(run, super + l->list, l->link, look_at_inode, l);
}

static int look_at_inodes(struct rf_run *run)
{
	uint64_t head, link;
	struct inodes l;
	int err;

	if ((err = rf_run_symbol(run, "super_blocks", &head)) ||
	    (err = rf_run_member(run, "super_block", "s_list", 16, &link)) ||
	    (err = rf_run_member(run, "super_block", "s_inodes", 16, &l.list)) ||
	    (err = rf_run_member(run, "super_block", "s_id", 0, &l.id)) ||
	    (err = rf_run_member(run, "inode", "i_sb_list", 16, &l.link)) ||
	    (err = rf_run_member(run, "inode", "i_ino", 8, &l.number)) ||
	    (err = rf_run_member(run, "inode", "i_fop", 8, &l.fop)) ||
	    (err = rf_run_member(run, "inode", "i_op", 8, &l.iop)) ||
	    (err = rf_run_member(run, "inode", "i_mapping", 8, &l.mapping)) ||
	    (err = rf_run_member(run, "address_space", "a_ops", 8, &l.aops)))
		return err;
	return rf_run_list(run, head, link, look_at_inodes_of, &l);
}

const struct rf_check rf_check_inodes = {
	.name = "inodes",
	.summary = "operations of each inode in memory are tables of the kernel's or a signed "
		   "module's",
	.reading = "reads, listings or look-ups of a file go through somebody's code",
	.attack = "T1564.001",
	.severity = RF_SEVERITY_CRITICAL,
	.period_ms = 10000,
	.reads = 1 << 22,
	.run = look_at_inodes,
};

/* --- /proc ------------------------------------------------------------------------ */

struct proc {
	uint64_t subdir, node, name, mode, iops, ops, dir_ops, seq_ops, show;
	/* Tables of the kernel's own that call a member of the entry: one of /proc
	 * (fs/proc/generic.c), one of /proc/net (fs/proc/proc_net.c). */
	uint64_t of_seq[2], of_single[2];
	unsigned int depth;
};

static bool is_one_of(const uint64_t tables[2], uint64_t table)
{
	return table == tables[0] || table == tables[1];
}

static int look_at_operations(struct rf_run *run, const struct proc *p, uint64_t entry,
			      uint32_t mode, const char *what)
{
	uint64_t table, more;
	int err = rf_run_u64(run, entry + p->ops, &table);

	if (err)
		return err;
	if ((mode & S_IFMT) == S_IFDIR)
		return rf_run_table(run, "file_operations", entry, table, what);
	err = rf_run_table(run, "proc_ops", entry, table, what);
	if (!err && is_one_of(p->of_seq, table)) {
		err = rf_run_u64(run, entry + p->seq_ops, &more);
		return err ? err : rf_run_table(run, "seq_operations", entry, more, what);
	}
	if (!err && is_one_of(p->of_single, table)) {
		err = rf_run_u64(run, entry + p->show, &more);
		return err ? err : rf_run_code(run, entry + p->show, more, what);
	}
	return err;
}

static int look_at_proc_entry(struct rf_run *run, uint64_t entry, void *ctx)
{
	struct proc *p = ctx;
	char what[96], name[64];
	uint64_t at, iops;
	uint32_t mode = 0;
	int err;

	if ((err = rf_run_u64(run, entry + p->name, &at)) ||
	    (err = rf_run_text(run, at, name, sizeof(name))) ||
	    (err = rf_run_read(run, entry + p->mode, &mode, 2)) ||
	    (err = rf_run_u64(run, entry + p->iops, &iops)))
		return err;
	rf_run_saw(run);
	snprintf(what, sizeof(what), "/proc entry %s", name);
	err = rf_run_table(run, "inode_operations", entry, iops, what);
	if (!err)
		err = look_at_operations(run, p, entry, mode, what);
	if (err || (mode & S_IFMT) != S_IFDIR)
		return err;
	if (p->depth == PROC_DEPTH)
		return -ELOOP;
	p->depth++;
	err = rf_run_rbtree(run, entry + p->subdir, p->node, look_at_proc_entry, p);
	p->depth--;
	return err;
}

struct of_net {
	struct proc *p;
	uint64_t proc_net;
};

/* The root of a namespace's has neither mode nor operations (fs/proc/proc_net.c). */
static int look_at_proc_net(struct rf_run *run, uint64_t net, void *ctx)
{
	const struct of_net *n = ctx;
	uint64_t entry;
	int err = rf_run_u64(run, net + n->proc_net, &entry);

	if (err || !entry)
		return err;
	return rf_run_rbtree(run, entry + n->p->subdir, n->p->node, look_at_proc_entry, n->p);
}

static int look_at_proc_entries(struct rf_run *run)
{
	uint64_t root, nets;
	struct of_net n = { 0 };
	struct proc p = { 0 };
	int err;

	if ((err = rf_run_symbol(run, "proc_root", &root)) ||
	    (err = rf_run_symbol(run, "proc_seq_ops", &p.of_seq[0])) ||
	    (err = rf_run_symbol(run, "proc_single_ops", &p.of_single[0])) ||
	    (err = rf_run_member(run, "proc_dir_entry", "subdir", 8, &p.subdir)) ||
	    (err = rf_run_member(run, "proc_dir_entry", "subdir_node", 0, &p.node)) ||
	    (err = rf_run_member(run, "proc_dir_entry", "name", 8, &p.name)) ||
	    (err = rf_run_member(run, "proc_dir_entry", "mode", 2, &p.mode)) ||
	    (err = rf_run_member(run, "proc_dir_entry", "proc_iops", 8, &p.iops)) ||
	    (err = rf_run_member(run, "proc_dir_entry", "proc_ops", 8, &p.ops)) ||
	    (err = rf_run_member(run, "proc_dir_entry", "seq_ops", 8, &p.seq_ops)) ||
	    (err = rf_run_member(run, "proc_dir_entry", "single_show", 8, &p.show)))
		return err;
	err = rf_run_symbol(run, "net_namespace_list", &nets);
	if (!err && ((err = rf_run_symbol(run, "proc_net_seq_ops", &p.of_seq[1])) ||
		     (err = rf_run_symbol(run, "proc_net_single_ops", &p.of_single[1]))))
		return err;
	err = look_at_proc_entry(run, root, &p);
	if (err)
		return err;
	n.p = &p;
	/* A kernel without networking has none. */
	if (rf_run_symbol(run, "net_namespace_list", &nets) ||
	    rf_run_member(run, "net", "proc_net", 8, &n.proc_net))
		return 0;
	return rf_run_nets(run, look_at_proc_net, &n);
}

const struct rf_check rf_check_proc_entries = {
	.name = "proc-entries",
	.summary = "operations of each entry below /proc are the kernel's or a signed module's",
	.reading = "what ps, ss or lsmod show goes through somebody's code; or a control channel",
	.attack = "T1564",
	.severity = RF_SEVERITY_CRITICAL,
	.period_ms = 5000,
	.reads = 1 << 18,
	.run = look_at_proc_entries,
};
