// SPDX-License-Identifier: GPL-2.0-only
/* Files: introspection/checks/files.c. User mode has made /etc/rf_file, /etc/rf_dir and, on a file
 * system of a loop device, /mnt/rf_disk/file; and reads them. */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/namei.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "planted.h"

/* Its inode stays: a file of a file system in memory, or one that is held. */
static int look_up(const char *name, struct path *path)
{
	return kern_path(name, LOOKUP_FOLLOW, path);
}

/* --- file systems ------------------------------------------------------------------- */

static int on_begin(struct fs_context *fc)
{
	return -ENODEV;
}

static void on_kill(struct super_block *sb) {}

static struct file_system_type type = { .name = "rf_planted",
					.init_fs_context = on_begin,
					.kill_sb = on_kill };

static int plant_type(struct rf_planted *p)
{
	return register_filesystem(&type) ?: rf_pointer(p, &type.init_fs_context, NULL);
}

static void undo_type(struct rf_planted *p)
{
	unregister_filesystem(&type);
}

static unsigned int statfs_calls;
static const struct super_operations *super_before;
static struct super_operations *super_copy;
static struct path root;

static int on_statfs(struct dentry *dentry, struct kstatfs *out)
{
	statfs_calls++;
	return super_before->statfs(dentry, out);
}

static int plant_super(struct rf_planted *p)
{
	struct super_block *sb;
	int err = look_up("/", &root);

	if (err)
		return err;
	sb = root.dentry->d_sb;
	super_before = sb->s_op;
	super_copy = kmemdup(super_before, sizeof(*super_copy), GFP_KERNEL);
	if (!super_copy)
		return -ENOMEM;
	super_copy->statfs = on_statfs;
	WRITE_ONCE(sb->s_op, super_copy);
	return rf_table(p, sb, &sb->s_op, &statfs_calls);
}

static void undo_super(struct rf_planted *p)
{
	WRITE_ONCE(root.dentry->d_sb->s_op, super_before);
	path_put(&root);
	synchronize_rcu();
	kfree(super_copy);
}

/* --- inodes ------------------------------------------------------------------------------------
 */

static struct path file, dir, mapped;
static const struct file_operations *file_before;
static struct file_operations *file_copy;
static const struct inode_operations *dir_before;
static struct inode_operations *dir_copy;
static const struct address_space_operations *mapped_before;
static struct address_space_operations *mapped_copy;
static unsigned int read_calls, lookup_calls, pages_calls;

static ssize_t on_read(struct kiocb *io, struct iov_iter *to)
{
	read_calls++;
	return file_before->read_iter(io, to);
}

static int plant_file(struct rf_planted *p)
{
	struct inode *inode;
	int err = look_up("/etc/rf_file", &file);

	if (err)
		return err;
	inode = d_inode(file.dentry);
	file_before = inode->i_fop;
	file_copy = kmemdup(file_before, sizeof(*file_copy), GFP_KERNEL);
	if (!file_copy)
		return -ENOMEM;
	file_copy->read_iter = on_read;
	WRITE_ONCE(inode->i_fop, file_copy);
	return rf_table(p, inode, &inode->i_fop, &read_calls);
}

static void undo_file(struct rf_planted *p)
{
	WRITE_ONCE(d_inode(file.dentry)->i_fop, file_before);
	path_put(&file);
	synchronize_rcu();
	kfree(file_copy);
}

static struct dentry *on_lookup(struct inode *inode, struct dentry *name, unsigned int flags)
{
	lookup_calls++;
	return dir_before->lookup(inode, name, flags);
}

static int plant_dir(struct rf_planted *p)
{
	struct inode *inode;
	int err = look_up("/etc/rf_dir", &dir);

	if (err)
		return err;
	inode = d_inode(dir.dentry);
	dir_before = inode->i_op;
	dir_copy = kmemdup(dir_before, sizeof(*dir_copy), GFP_KERNEL);
	if (!dir_copy)
		return -ENOMEM;
	dir_copy->lookup = on_lookup;
	WRITE_ONCE(inode->i_op, dir_copy);
	return rf_table(p, inode, &inode->i_op, &lookup_calls);
}

static void undo_dir(struct rf_planted *p)
{
	WRITE_ONCE(d_inode(dir.dentry)->i_op, dir_before);
	path_put(&dir);
	synchronize_rcu();
	kfree(dir_copy);
}

static int on_pages(struct address_space *mapping, struct writeback_control *control)
{
	pages_calls++;
	return mapped_before->writepages(mapping, control);
}

static int plant_mapped(struct rf_planted *p)
{
	struct inode *inode;
	int err = look_up("/mnt/rf_disk/file", &mapped);

	if (err)
		return err;
	inode = d_inode(mapped.dentry);
	mapped_before = inode->i_mapping->a_ops;
	mapped_copy = kmemdup(mapped_before, sizeof(*mapped_copy), GFP_KERNEL);
	if (!mapped_copy)
		return -ENOMEM;
	mapped_copy->writepages = on_pages;
	WRITE_ONCE(inode->i_mapping->a_ops, mapped_copy);
	return rf_table(p, inode, &inode->i_mapping->a_ops, &pages_calls);
}

static void undo_mapped(struct rf_planted *p)
{
	WRITE_ONCE(d_inode(mapped.dentry)->i_mapping->a_ops, mapped_before);
	path_put(&mapped);
	synchronize_rcu();
	kfree(mapped_copy);
}

/* --- /proc -------------------------------------------------------------------------- */

#define PDE_BYTES 256 /* at most, of struct proc_dir_entry: fs/proc/internal.h is not ours */
#define AHEAD 256     /* of an inode in its struct proc_inode */

/* The entry of an open /proc file, by something that it holds, and where that stands in it. */
static void *find_entry(const char *name, const void *known, void **slot)
{
	struct path path;
	void *entry = NULL;

	if (!known || look_up(name, &path))
		return NULL;
	for (unsigned int i = sizeof(entry); i <= AHEAD && !*slot; i += sizeof(entry)) {
		entry = *(void **)((void *)d_inode(path.dentry) - i);
		/* Of the heap: not a function. */
		if (virt_addr_valid(entry) && (unsigned long)entry < __START_KERNEL_map)
			*slot = rf_find(entry, PDE_BYTES, known);
	}
	path_put(&path);
	return *slot ? entry : NULL;
}

static struct proc_dir_entry *created;
static unsigned int created_calls, show_calls, open_calls, seq_calls, rodata_calls;

static ssize_t on_proc_read(struct file *f, char __user *to, size_t size, loff_t *pos)
{
	created_calls++;
	return 0;
}

static const struct proc_ops proc_ops = { .proc_read = on_proc_read };

static int plant_created(struct rf_planted *p)
{
	void *slot;

	created = proc_create("rf_planted", 0400, NULL, &proc_ops);
	if (!created)
		return -ENOMEM;
	slot = rf_find(created, PDE_BYTES, &proc_ops);
	return slot ? rf_table(p, created, slot, &created_calls) : -ENOENT;
}

static void undo_created(struct rf_planted *p)
{
	proc_remove(created);
}

static int (*show_before)(struct seq_file *s, void *v);
static void *show_slot, *ops_slot, *seq_slot;

static int on_show(struct seq_file *s, void *v)
{
	show_calls++;
	return show_before(s, v);
}

static int plant_show(struct rf_planted *p)
{
	show_before = rf_symbol("version_proc_show");
	if (!find_entry("/proc/version", show_before, &show_slot))
		return rf_cannot(p, "/proc/version is made otherwise");
	WRITE_ONCE(*(void **)show_slot, (void *)on_show);
	return rf_pointer(p, show_slot, &show_calls);
}

static void undo_show(struct rf_planted *p)
{
	WRITE_ONCE(*(void **)show_slot, (void *)show_before);
	synchronize_rcu();
}

static const struct proc_ops *ops_before;
static struct proc_ops *ops_copy;

static int on_open(struct inode *inode, struct file *f)
{
	open_calls++;
	return ops_before->proc_open(inode, f);
}

static int plant_ops(struct rf_planted *p)
{
	void *entry, *unused = NULL;

	ops_before = rf_symbol("proc_single_ops");
	entry = find_entry("/proc/uptime", rf_symbol("uptime_proc_show"), &unused);
	ops_slot = entry && ops_before ? rf_find(entry, PDE_BYTES, ops_before) : NULL;
	if (!ops_slot)
		return rf_cannot(p, "/proc/uptime is made otherwise");
	ops_copy = kmemdup(ops_before, sizeof(*ops_copy), GFP_KERNEL);
	if (!ops_copy)
		return -ENOMEM;
	ops_copy->proc_open = on_open;
	WRITE_ONCE(*(void **)ops_slot, ops_copy);
	return rf_table(p, entry, ops_slot, &open_calls);
}

static void undo_ops(struct rf_planted *p)
{
	WRITE_ONCE(*(const void **)ops_slot, ops_before);
	synchronize_rcu();
	kfree(ops_copy);
}

/* How connections are hidden from netstat and ss. */
static const struct seq_operations *seq_before;
static struct seq_operations *seq_copy;

static int on_seq(struct seq_file *s, void *v)
{
	seq_calls++;
	return seq_before->show(s, v);
}

static int plant_seq(struct rf_planted *p)
{
	void *entry;

	seq_before = rf_symbol("tcp4_seq_ops");
	entry = find_entry("/proc/net/tcp", seq_before, &seq_slot);
	if (!entry)
		return rf_cannot(p, "/proc/net/tcp is made otherwise");
	seq_copy = kmemdup(seq_before, sizeof(*seq_copy), GFP_KERNEL);
	if (!seq_copy)
		return -ENOMEM;
	seq_copy->show = on_seq;
	WRITE_ONCE(*(void **)seq_slot, seq_copy);
	return rf_table(p, entry, seq_slot, &seq_calls);
}

static void undo_seq(struct rf_planted *p)
{
	WRITE_ONCE(*(const void **)seq_slot, seq_before);
	synchronize_rcu();
	kfree(seq_copy);
}

/* The same in the table itself, which is read-only. */
static struct seq_operations *udp;
static int (*udp_before)(struct seq_file *s, void *v);

static int on_udp(struct seq_file *s, void *v)
{
	rodata_calls++;
	return udp_before(s, v);
}

static int plant_rodata(struct rf_planted *p)
{
	udp = rf_symbol("udp_seq_ops");
	if (!udp)
		return rf_cannot(p, "no udp_seq_ops");
	udp_before = udp->show;
	return rf_write(&udp->show, on_udp) ?: rf_pointer(p, &udp->show, &rodata_calls);
}

static void undo_rodata(struct rf_planted *p)
{
	rf_write(&udp->show, udp_before);
	synchronize_rcu();
}

const struct rf_plant rf_plants_files[] = {
	{ "file_system_type", "filesystems", plant_type, undo_type },
	{ "super_operations", "superblocks", plant_super, undo_super },
	{ "inode_fop", "inodes", plant_file, undo_file },
	{ "inode_op", "inodes", plant_dir, undo_dir },
	{ "inode_aops", "inodes", plant_mapped, undo_mapped },
	{ "proc_created", "proc-entries", plant_created, undo_created },
	{ "proc_show", "proc-entries", plant_show, undo_show },
	{ "proc_ops_copy", "proc-entries", plant_ops, undo_ops },
	{ "proc_net_seq", "proc-entries", plant_seq, undo_seq },
	{ "proc_net_rodata", "proc-entries", plant_rodata, undo_rodata },
	{ 0 },
};
