// SPDX-License-Identifier: GPL-2.0-only
/* Who answers programs: netlink, options of sockets; and control groups, BPF, vdso, switches. */
#include <linux/bpf.h>
#include <linux/cgroup-defs.h>
#include <linux/filter.h>
#include <linux/idr.h>
#include <linux/mm_types.h>
#include <linux/netfilter.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <net/genetlink.h>
#include <net/rtnetlink.h>
#include <asm/vdso.h>

#include "planted.h"

/* --- netlink, devices, sockets ------------------------------------------------------ */

static int on_message(struct sk_buff *skb, struct genl_info *info)
{
	return 0;
}

static const struct genl_ops messages[] = { { .cmd = 1, .doit = on_message } };
static struct genl_family family = {
	.name = "rf_planted", .version = 1, .ops = messages, .n_ops = ARRAY_SIZE(messages)
};

static int plant_netlink(struct rf_planted *p)
{
	return genl_register_family(&family) ?: rf_pointer(p, &messages[0].doit, NULL);
}

static void undo_netlink(struct rf_planted *p)
{
	genl_unregister_family(&family);
}

static void on_setup(struct net_device *dev) {}

static struct rtnl_link_ops kind = { .kind = "rf_planted", .setup = on_setup };

static int plant_kind(struct rf_planted *p)
{
	return rtnl_link_register(&kind) ?: rf_pointer(p, &kind.setup, NULL);
}

static void undo_kind(struct rf_planted *p)
{
	rtnl_link_unregister(&kind);
}

static int on_option(struct sock *sk, int option, sockptr_t value, unsigned int len)
{
	return 0;
}

static struct nf_sockopt_ops option = {
	.pf = PF_INET, .set_optmin = 0x7f00, .set_optmax = 0x7f01, .set = on_option
};

static int plant_option(struct rf_planted *p)
{
	return nf_register_sockopt(&option) ?: rf_pointer(p, &option.set, NULL);
}

static void undo_option(struct rf_planted *p)
{
	nf_unregister_sockopt(&option);
}

/* --- control groups ----------------------------------------------------------------- */

static struct cgroup_subsys *group;

static void on_fork(struct task_struct *task) {}

/* Who is called was noted at the boot: nobody is, for now. */
static int plant_group(struct rf_planted *p)
{
	group = rf_symbol("pids_cgrp_subsys");
	if (!group || group->fork)
		return rf_cannot(p, "no control group of pids, or one that counts forks");
	WRITE_ONCE(group->fork, on_fork);
	return rf_pointer(p, &group->fork, NULL);
}

static void undo_group(struct rf_planted *p)
{
	WRITE_ONCE(group->fork, NULL);
}

/* --- BPF: user mode has loaded two programs ------------------------------------------------------
 */

static struct idr *programs;

static struct bpf_prog *program(const char *name)
{
	struct bpf_prog *prog;
	int id;

	programs = rf_symbol("prog_idr");
	if (programs)
		idr_for_each_entry(programs, prog,
				   id) if (!strcmp(prog->aux->name, name)) return prog;
	return NULL;
}

static int plant_program(struct rf_planted *p)
{
	p->object = (unsigned long)program("rf_planted");
	return p->object ? 0 : rf_cannot(p, "no BPF program was loaded");
}

static void undo_program(struct rf_planted *p) {}

static bool real_program(const struct rf_planted *p)
{
	return ((struct bpf_prog *)p->object)->jited;
}

static struct bpf_prog *hidden;

static int plant_hidden(struct rf_planted *p)
{
	hidden = program("rf_hidden");
	if (!hidden)
		return rf_cannot(p, "no BPF program was loaded");
	local_irq_disable();
	idr_remove(programs, hidden->aux->id);
	local_irq_enable();
	p->object = (unsigned long)hidden;
	p->target = (unsigned long)hidden->bpf_func;
	return 0;
}

static void undo_hidden(struct rf_planted *p)
{
	int id = hidden->aux->id;

	local_irq_disable();
	idr_alloc(programs, hidden, id, id + 1, GFP_ATOMIC);
	local_irq_enable();
}

static bool real_hidden(const struct rf_planted *p)
{
	return !idr_find(programs, hidden->aux->id);
}

/* --- vdso ----------------------------------------------------------------------------------------
 */

#define VICTIM 9

static struct mm_struct *mm;
static const struct vdso_image *image_before;
static struct vdso_image *image;

static int plant_vdso(struct rf_planted *p)
{
	struct task_struct *task = rf_victim(VICTIM);

	if (!task)
		return rf_cannot(p, "no process for it");
	mm = task->mm;
	image_before = mm->context.vdso_image;
	image = kmemdup(image_before, sizeof(*image), GFP_KERNEL);
	if (!image)
		return -ENOMEM;
	WRITE_ONCE(mm->context.vdso_image, image);
	return rf_table(p, mm, &mm->context.vdso_image, NULL);
}

static void undo_vdso(struct rf_planted *p)
{
	WRITE_ONCE(mm->context.vdso_image, image_before);
	kfree(image);
}

/* --- switches: the last to be planted, and the first to be undone ------------------- */

static bool *disarmed;

static int plant_switch(struct rf_planted *p)
{
	disarmed = rf_symbol("kprobes_all_disarmed");
	if (!disarmed)
		return rf_cannot(p, "no switch of kprobes");
	*disarmed = true;
	p->object = (unsigned long)disarmed;
	return 0;
}

static void undo_switch(struct rf_planted *p)
{
	*disarmed = false;
}

static bool real_switch(const struct rf_planted *p)
{
	return *disarmed;
}

const struct rf_plant rf_plants_asked[] = {
	{ "netlink_family", "netlink", plant_netlink, undo_netlink },
	{ "link_kind", "net-kinds", plant_kind, undo_kind },
	{ "socket_option", "sockets", plant_option, undo_option },
	{ "control_group", "control-groups", plant_group, undo_group },
	{ "bpf_program", "bpf-programs", plant_program, undo_program, .real = real_program },
	{ "bpf_hidden", "bpf-hidden", plant_hidden, undo_hidden, .real = real_hidden },
	{ "vdso_image", "vdso", plant_vdso, undo_vdso },
	{ "kprobes_off", "settings-lowered", plant_switch, undo_switch, .real = real_switch },
	{ 0 },
};
