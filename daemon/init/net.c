/* SPDX-License-Identifier: Apache-2.0 */
/* A listener that init opens belongs to the sandbox's network namespace wherever it is accepted
 * on, which is the whole trick of the gateway. */

#include "init/net.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "macro.h"

void net_loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	CLEANUP_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0 || (request.ifr_flags & IFF_UP) != 0)
		return;
	request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
	(void)ioctl(fd, SIOCSIFFLAGS, &request); /* see the header */
}

int net_listen(const struct init_listen *l)
{
	const struct sockaddr_in address = { .sin_family = AF_INET,
					     .sin_port = htons(l->port),
					     .sin_addr.s_addr = l->address };
	CLEANUP_FD int fd = -1;
	int on = 1;

	if (ntohl(l->address) >> 24 != 127)
		return -EINVAL;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) < 0 ||
	    listen(fd, l->backlog > 0 ? l->backlog : SOMAXCONN) < 0)
		return -errno;
	return TAKE_FD(fd);
}
