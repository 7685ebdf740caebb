// SPDX-License-Identifier: GPL-2.0-only
/* The network: introspection/checks/net.c. User mode sends packets through lo and dummy0. */
#include <linux/if_ether.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <net/net_namespace.h>
#include <net/protocol.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "planted.h"

/* --- netfilter ---------------------------------------------------------------------- */

static unsigned int hook_calls, ingress_calls;

static unsigned int on_hook(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	hook_calls++;
	return NF_ACCEPT;
}

static struct nf_hook_ops hook_ops = {
	.hook = on_hook,
	.pf = NFPROTO_IPV4,
	.hooknum = NF_INET_LOCAL_OUT,
	.priority = NF_IP_PRI_FIRST,
};

/* Where the kernel's array of hooks has ours. */
static int find_hook(struct rf_planted *p, struct nf_hook_entries *entries, nf_hookfn *fn,
		     unsigned int *calls)
{
	for (unsigned int i = 0; entries && i < entries->num_hook_entries; i++)
		if (entries->hooks[i].hook == fn)
			return rf_pointer(p, &entries->hooks[i].hook, calls);
	return -ENOENT;
}

static int plant_hook(struct rf_planted *p)
{
	return nf_register_net_hook(&init_net, &hook_ops)
		       ?: find_hook(p,
				    rcu_access_pointer(init_net.nf.hooks_ipv4[NF_INET_LOCAL_OUT]),
				    on_hook, &hook_calls);
}

static void undo_hook(struct rf_planted *p)
{
	nf_unregister_net_hook(&init_net, &hook_ops);
}

static unsigned int on_ingress(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	ingress_calls++;
	return NF_ACCEPT;
}

#ifdef CONFIG_NETFILTER_INGRESS
static struct nf_hook_ops ingress_ops = {
	.hook = on_ingress,
	.pf = NFPROTO_NETDEV,
	.hooknum = NF_NETDEV_INGRESS,
	.priority = 1,
};

static int plant_ingress(struct rf_planted *p)
{
	ingress_ops.dev = init_net.loopback_dev;
	return nf_register_net_hook(&init_net, &ingress_ops)
		       ?: find_hook(p, rcu_access_pointer(ingress_ops.dev->nf_hooks_ingress),
				    on_ingress, &ingress_calls);
}

static void undo_ingress(struct rf_planted *p)
{
	nf_unregister_net_hook(&init_net, &ingress_ops);
}
#else
static int plant_ingress(struct rf_planted *p)
{
	return rf_cannot(p, "no CONFIG_NETFILTER_INGRESS");
}

static void undo_ingress(struct rf_planted *p) {}
#endif

/* --- packet handlers ---------------------------------------------------------------- */

static unsigned int all_calls, ip_calls, device_calls;

static int count_packet(struct sk_buff *skb, unsigned int *calls)
{
	(*calls)++;
	kfree_skb(skb);
	return 0;
}

static int on_packet(struct sk_buff *skb, struct net_device *dev, struct packet_type *type,
		     struct net_device *first)
{
	return count_packet(skb, &all_calls);
}

static int on_ip(struct sk_buff *skb, struct net_device *dev, struct packet_type *type,
		 struct net_device *first)
{
	return count_packet(skb, &ip_calls);
}

static int on_device(struct sk_buff *skb, struct net_device *dev, struct packet_type *type,
		     struct net_device *first)
{
	return count_packet(skb, &device_calls);
}

/* Newer kernels have a list of these for each namespace, and none for all. */
static struct packet_type all_type = { .type = htons(ETH_P_ALL),
				       .func = on_packet,
				       .af_packet_net = &init_net };
static struct packet_type ip_type = { .type = htons(ETH_P_IP), .func = on_ip };
static struct packet_type device_type = { .type = htons(ETH_P_ALL), .func = on_device };

static int plant_packets(struct rf_planted *p)
{
	dev_add_pack(&all_type);
	return rf_pointer(p, &all_type.func, &all_calls);
}

static void undo_packets(struct rf_planted *p)
{
	dev_remove_pack(&all_type);
}

static int plant_ip(struct rf_planted *p)
{
	dev_add_pack(&ip_type);
	return rf_pointer(p, &ip_type.func, &ip_calls);
}

static void undo_ip(struct rf_planted *p)
{
	dev_remove_pack(&ip_type);
}

static int plant_of_device(struct rf_planted *p)
{
	device_type.dev = init_net.loopback_dev;
	dev_add_pack(&device_type);
	return rf_pointer(p, &device_type.func, &device_calls);
}

static void undo_of_device(struct rf_planted *p)
{
	dev_remove_pack(&device_type);
}

static struct sk_buff *on_gro(struct list_head *head, struct sk_buff *skb)
{
	return NULL;
}

static struct packet_offload offload = { .type = htons(ETH_P_LOOPBACK),
					 .callbacks.gro_receive = on_gro };

static int plant_offload(struct rf_planted *p)
{
	dev_add_offload(&offload);
	return rf_pointer(p, &offload.callbacks.gro_receive, NULL);
}

static void undo_offload(struct rf_planted *p)
{
	dev_remove_offload(&offload);
}

/* --- protocols ---------------------------------------------------------------------- */

#define PROTOCOL 253 /* for experiments, RFC 3692 */

static unsigned int connect_calls;

static int on_protocol(struct sk_buff *skb)
{
	kfree_skb(skb);
	return 0;
}

static struct net_protocol protocol = { .handler = on_protocol, .no_policy = 1 };

static int plant_protocol(struct rf_planted *p)
{
	return inet_add_protocol(&protocol, PROTOCOL) ?: rf_pointer(p, &protocol.handler, NULL);
}

static void undo_protocol(struct rf_planted *p)
{
	inet_del_protocol(&protocol, PROTOCOL);
}

static int (*connect_before)(void *sk, void *address, int len);

static int on_connect(void *sk, void *address, int len)
{
	connect_calls++;
	return connect_before(sk, address, len);
}

static int plant_connect(struct rf_planted *p)
{
	connect_before = (void *)tcp_prot.connect;
	WRITE_ONCE(tcp_prot.connect, (void *)on_connect);
	return rf_pointer(p, &tcp_prot.connect, &connect_calls);
}

static void undo_connect(struct rf_planted *p)
{
	WRITE_ONCE(tcp_prot.connect, (void *)connect_before);
}

static u32 on_ssthresh(struct sock *sk)
{
	return 2;
}

static void on_cong_avoid(struct sock *sk, u32 ack, u32 acked) {}

static u32 on_undo_cwnd(struct sock *sk)
{
	return 2;
}

static struct tcp_congestion_ops congestion = {
	.ssthresh = on_ssthresh,
	.cong_avoid = on_cong_avoid,
	.undo_cwnd = on_undo_cwnd,
	.name = "rf_planted",
};

static int plant_congestion(struct rf_planted *p)
{
	return tcp_register_congestion_control(&congestion)
		       ?: rf_pointer(p, &congestion.cong_avoid, NULL);
}

static void undo_congestion(struct rf_planted *p)
{
	tcp_unregister_congestion_control(&congestion);
}

/* --- families of sockets ------------------------------------------------------------ */

static unsigned int family_calls;

static int on_create(struct net *net, struct socket *sock, int protocol, int kern)
{
	family_calls++;
	return -EPROTONOSUPPORT;
}

/* Econet, which the kernel has not had since 3.5. */
static const struct net_proto_family family = { .family = 19, .create = on_create };

static int plant_family(struct rf_planted *p)
{
	return sock_register(&family) ?: rf_pointer(p, &family.create, &family_calls);
}

static void undo_family(struct rf_planted *p)
{
	sock_unregister(19);
}

static void prod_family(void)
{
	struct socket *sock;

	if (!sock_create_kern(&init_net, 19, SOCK_DGRAM, 0, &sock))
		sock_release(sock);
}

/* --- devices ------------------------------------------------------------------------------------
 */

static struct net_device *dummy, *veth;
static const struct net_device_ops *ops_before;
static struct net_device_ops *ops;
static unsigned int xmit_calls, rx_calls;

static netdev_tx_t on_xmit(struct sk_buff *skb, struct net_device *dev)
{
	xmit_calls++;
	return ops_before->ndo_start_xmit(skb, dev);
}

static int plant_device(struct rf_planted *p)
{
	dummy = dev_get_by_name(&init_net, "dummy0");
	if (!dummy)
		return rf_cannot(p, "no device dummy0");
	ops_before = dummy->netdev_ops;
	ops = kmemdup(ops_before, sizeof(*ops), GFP_KERNEL);
	if (!ops)
		return -ENOMEM;
	ops->ndo_start_xmit = on_xmit;
	WRITE_ONCE(dummy->netdev_ops, ops);
	return rf_table(p, dummy, &dummy->netdev_ops, &xmit_calls);
}

static void undo_device(struct rf_planted *p)
{
	WRITE_ONCE(dummy->netdev_ops, ops_before);
	synchronize_net();
	kfree(ops);
	dev_put(dummy);
}

static rx_handler_result_t on_receive(struct sk_buff **skb)
{
	rx_calls++;
	return RX_HANDLER_PASS;
}

static int plant_receive(struct rf_planted *p)
{
	int err;

	veth = dev_get_by_name(&init_net, "rf_veth");
	if (!veth)
		return rf_cannot(p, "no device rf_veth");
	rtnl_lock();
	err = netdev_rx_handler_register(veth, on_receive, NULL);
	rtnl_unlock();
	return err ?: rf_pointer(p, &veth->rx_handler, &rx_calls);
}

static void undo_receive(struct rf_planted *p)
{
	rtnl_lock();
	netdev_rx_handler_unregister(veth);
	rtnl_unlock();
	dev_put(veth);
}

/* --- namespaces --------------------------------------------------------------------- */

static unsigned int net_calls;

static int on_net(struct net *net)
{
	net_calls++;
	return 0;
}

static struct pernet_operations pernet = { .init = on_net };

static int plant_pernet(struct rf_planted *p)
{
	return register_pernet_subsys(&pernet) ?: rf_pointer(p, &pernet.init, &net_calls);
}

static void undo_pernet(struct rf_planted *p)
{
	unregister_pernet_subsys(&pernet);
}

const struct rf_plant rf_plants_net[] = {
	{ "netfilter_hook", "netfilter", plant_hook, undo_hook },
	{ "netfilter_ingress", "netfilter", plant_ingress, undo_ingress },
	{ "packet_all", "packet-handlers", plant_packets, undo_packets },
	{ "packet_ip", "packet-handlers", plant_ip, undo_ip },
	{ "packet_of_device", "packet-handlers", plant_of_device, undo_of_device },
	{ "packet_offload", "packet-handlers", plant_offload, undo_offload },
	{ "net_protocol", "protocols", plant_protocol, undo_protocol },
	{ "proto_connect", "protocols", plant_connect, undo_connect },
	{ "tcp_congestion", "protocols", plant_congestion, undo_congestion },
	{ "socket_family", "socket-families", plant_family, undo_family, prod_family },
	{ "netdev_ops", "net-devices", plant_device, undo_device },
	{ "rx_handler", "net-devices", plant_receive, undo_receive },
	{ "pernet_ops", "net-registrations", plant_pernet, undo_pernet },
	{ 0 },
};
