/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include "token-server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <event2/event.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/time.h"

struct token_server server;

void token_login(char *text, size_t size, unsigned n, int64_t from_ms, int64_t life_ms)
{
	char claims[128], payload[256];

	(void)snprintf(claims, sizeof(claims), "{\"iat\":%lld,\"exp\":%lld,\"n\":%u}",
		       (long long)(from_ms / 1000), (long long)((from_ms + life_ms) / 1000), n);
	sodium_bin2base64(payload, sizeof(payload), (const uint8_t *)claims, strlen(claims),
			  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	(void)snprintf(text, size,
		       "\"access_token\":\"access-%u.%s.x\",\"refresh_token\":"
		       "\"refresh-%u\"",
		       n, payload, n);
}

static void respond(int fd, int status, const char *body)
{
	char text[1024];
	int n = snprintf(text, sizeof(text),
			 "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: "
			 "%zu\r\nConnection: close\r\n\r\n",
			 status, strlen(body));

	(void)!send(fd, text, (size_t)n, MSG_NOSIGNAL); /* a broker that was killed hears nothing */
	(void)!send(fd, body, strlen(body), MSG_NOSIGNAL);
	(void)close(fd);
}

static void answer_token(int fd, unsigned token)
{
	char tokens[512], body[600];

	if (server.status || server.body) {
		respond(fd, server.status ? server.status : 200, server.body ? server.body : "{}");
	} else if (token != server.valid) {
		server.burnt++;
		respond(fd, 401, "{\"error\":{\"code\":\"refresh_token_reused\"}}");
	} else {
		server.valid++;
		token_login(tokens, sizeof(tokens), server.valid, time_realtime_ms(),
			    server.life_ms);
		(void)snprintf(body, sizeof(body), "{\"id_token\":\"id\",%s}", tokens);
		respond(fd, 200, body);
	}
}

static void on_connection(evutil_socket_t listener, short what, void *userdata)
{
	static const char mark[] = "\"refresh_token\":\"refresh-";
	char text[8192] = "", *token = NULL;
	size_t used = 0;
	int fd = accept(listener, NULL, NULL);

	(void)what;
	(void)userdata;
	assert(fd >= 0);
	while (!token || !strchr(token, '}')) { /* the broker sends at once: it is waited for */
		ssize_t n = recv(fd, text + used, sizeof(text) - 1 - used, 0);

		assert(n > 0);
		used += (size_t)n;
		text[used] = '\0';
		token = strstr(text, mark);
	}
	assert(strstr(text, "\"client_id\":\"test-client\",\"grant_type\":\"refresh_token\""));
	server.requests++;
	if (!server.hold) {
		answer_token(fd, (unsigned)atoi(token + sizeof(mark) - 1));
		return;
	}
	assert(server.held < 0);
	server.held = fd;
	server.held_token = (unsigned)atoi(token + sizeof(mark) - 1);
}

void token_server_let_go(void)
{
	server.hold = false;
	answer_token(server.held, server.held_token);
	server.held = -1;
}

void token_server_start(struct event_base *base, char *url, size_t size)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(a);

	server = (struct token_server){ .valid = 1, .held = -1, .life_ms = 60 * 60000 };
	server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(server.listener >= 0);
	assert(bind(server.listener, (struct sockaddr *)&a, sizeof(a)) == 0);
	assert(getsockname(server.listener, (struct sockaddr *)&a, &length) == 0);
	assert(listen(server.listener, 16) == 0);
	server.event = event_new(base, server.listener, EV_READ | EV_PERSIST, on_connection, NULL);
	assert(event_add(server.event, NULL) == 0);
	(void)snprintf(url, size, "http://127.0.0.1:%u/oauth/token", (unsigned)ntohs(a.sin_port));
}

void token_server_stop(void)
{
	event_free(server.event);
	(void)close(server.listener);
}
