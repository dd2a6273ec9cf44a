/* SPDX-License-Identifier: Apache-2.0 */
/* Network when it is `none`, and what is not a network but reaches out: vsock, abstract sockets,
 * System V segments. */

#include "escape.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Connected, or on the way: a packet left the sandbox. */
static bool connects(int family, int type, const void *address, socklen_t size)
{
	int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool yes;

	if (fd < 0)
		return false;
	yes = connect(fd, address, size) == 0;
	if (!yes && errno == EINPROGRESS) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		int error = 0;
		socklen_t n = sizeof(error);

		(void)poll(&p, 1, 1000);
		(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n);
		yes = error == 0 || (error != ENETUNREACH && error != ECONNREFUSED &&
				     error != EHOSTUNREACH && error != ENODEV);
		errno = error;
	}
	(void)close(fd);
	return yes;
}

/* PORT HOST...: the host listens on PORT on all of these addresses. */
static int connect_hosts(char **argv)
{
	uint16_t port = htons((uint16_t)atoi(argv[0]));
	int holes = 0;

	for (char **p = argv + 1; *p; p++) {
		struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = port };
		struct sockaddr_in6 b = { .sin6_family = AF_INET6, .sin6_port = port };
		bool ok;

		if (inet_pton(AF_INET, *p, &a.sin_addr) == 1)
			ok = connects(AF_INET, SOCK_STREAM, &a, sizeof(a));
		else if (inet_pton(AF_INET6, *p, &b.sin6_addr) == 1)
			ok = connects(AF_INET6, SOCK_STREAM, &b, sizeof(b));
		else
			continue;
		holes += tried(ok, "connect to %s port %s", *p, argv[0]);
		if (strncmp(*p, "127.", 4) != 0 && strchr(*p, '.'))
			holes += tried(connects(AF_INET, SOCK_DGRAM, &a, sizeof(a)), "route to %s",
				       *p);
	}
	return holes;
}

/* Nothing but lo. */
static int interfaces(char **argv)
{
	struct ifaddrs *list = NULL;
	int holes = 0;

	(void)argv;
	if (getifaddrs(&list) < 0)
		return tried(false, "getifaddrs");
	for (struct ifaddrs *i = list; i; i = i->ifa_next)
		holes += tried(strcmp(i->ifa_name, "lo") != 0, "an interface %s", i->ifa_name);
	freeifaddrs(list);
	return holes;
}

static int raw_sockets(char **argv)
{
	static const struct {
		int family, type, protocol;
		const char *name;
	} kinds[] = {
		{ AF_INET, SOCK_RAW, IPPROTO_ICMP, "raw icmp" },
		{ AF_INET, SOCK_RAW, IPPROTO_RAW, "raw ip" },
		{ AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, "raw icmp6" },
		{ AF_PACKET, SOCK_RAW, 0x0300, "packet" },
		{ AF_PACKET, SOCK_DGRAM, 0x0300, "packet, cooked" },
	};
	int holes = 0;

	(void)argv;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int fd = socket(kinds[i].family, kinds[i].type | SOCK_CLOEXEC, kinds[i].protocol);

		holes += tried(fd >= 0, "%s socket", kinds[i].name);
		if (fd >= 0)
			(void)close(fd);
	}
	return holes;
}

/* Sends a link request and returns the kernel's answer (negative errno, 0: done). */
static int link_request(int type, int flags, const char *name)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
		struct rtattr attr;
		char name[16];
	} m = { .head = { sizeof(m), (uint16_t)type, (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags),
			  1, 0 },
		.attr = { sizeof(struct rtattr) + 16, IFLA_IFNAME } };
	char reply[4096];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct nlmsghdr *h = (struct nlmsghdr *)(void *)reply;
	int r = -ENOSYS;

	if (fd < 0)
		return -errno;
	(void)snprintf(m.name, sizeof(m.name), "%s", name);
	if (send(fd, &m, sizeof(m), 0) < 0)
		r = -errno;
	else if (recv(fd, reply, sizeof(reply), 0) > 0 && h->nlmsg_type == NLMSG_ERROR)
		r = ((struct nlmsgerr *)NLMSG_DATA(h))->error;
	(void)close(fd);
	return r;
}

static int configure_network(char **argv)
{
	static const int protocols[] = { 2 /* usersock */, 12 /* netfilter */, 9 /* audit */,
					 6 /* xfrm */, 15 /* uevent */ };
	struct ifreq request = { .ifr_name = "lo" };
	int holes = 0;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)argv;
	for (int i = 0; i < 2; i++) {
		int r = i ? link_request(RTM_DELLINK, 0, "lo")
			  : link_request(RTM_NEWLINK, NLM_F_CREATE, "escape0");

		errno = r < 0 ? -r : 0;
		holes += tried(r == 0, "netlink %s a link", i ? "remove" : "make");
	}
	request.ifr_flags = 0;
	holes += tried(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0, "lo down");
	request.ifr_mtu = 1000;
	holes += tried(fd >= 0 && ioctl(fd, SIOCSIFMTU, &request) == 0, "lo mtu");
	if (fd >= 0)
		(void)close(fd);
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = 1 };
		int nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocols[i]);

		if (nl < 0)
			continue;
		if (protocols[i] == 15) /* its own namespace's uevents are nothing */
			errno = EPERM;
		else
			holes += tried(protocols[i] == 9 && bind(nl, (void *)&a, sizeof(a)) == 0,
				       "listen to netlink %d", protocols[i]);
		(void)close(nl);
	}
	return holes;
}

/* vsock knows no network namespaces: CID 2 is the machine's own host. */
static int vsock(char **argv)
{
	int holes = 0;

	(void)argv;
	for (unsigned cid = 1; cid <= 3; cid++) {
		struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_port = 1024, .svm_cid = cid };
		int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

		holes += tried(fd >= 0, "vsock socket");
		if (fd < 0)
			continue;
		(void)close(fd);
		(void)tried(connects(AF_VSOCK, SOCK_STREAM, &a, sizeof(a)), "vsock to %u", cid);
	}
	return holes;
}

/* NAME...: Unix sockets of the host, "@name" abstract, else a path. */
static int unix_sockets(char **argv)
{
	int holes = 0;

	for (; *argv; argv++) {
		static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
		struct sockaddr_un a = { .sun_family = AF_UNIX };
		size_t n = strlen(*argv);

		if (n >= sizeof(a.sun_path))
			continue;
		memcpy(a.sun_path, *argv, n);
		if (**argv == '@')
			a.sun_path[0] = 0;
		for (size_t i = 0; i < 3; i++)
			holes += tried(connects(AF_UNIX, types[i], &a,
						(socklen_t)(offsetof(struct sockaddr_un, sun_path) +
							    n)),
				       "connect to %s", *argv);
	}
	return holes;
}

/* KEY: a System V segment of the host's. */
static int sysv(char **argv)
{
	key_t key = (key_t)strtol(argv[0], NULL, 0);

	return tried(shmget(key, 1, 0) >= 0, "shmget %s", argv[0]);
}

const struct attempt network_attempts[] = {
	{ "connect-hosts", WHO_BOTH, "PORT HOST...", connect_hosts },
	{ "interfaces", WHO_BOTH, NULL, interfaces },
	{ "raw-sockets", WHO_BOTH, NULL, raw_sockets },
	{ "configure-network", WHO_BOTH, NULL, configure_network },
	{ "vsock", WHO_BOTH, NULL, vsock },
	{ "unix-sockets", WHO_BOTH, "NAME...", unix_sockets },
	{ "sysv", WHO_BOTH, "KEY", sysv },
	{ NULL, 0, NULL, NULL },
};
