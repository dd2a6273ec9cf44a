/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox-broker: refreshes one login and is gone. sandboxd starts it for each refresh, with the
 * credentials in a pipe, and opens no TCP socket itself.
 *
 * A refresh token is good for one use: from the moment the server has seen it until the answer is
 * safe, nothing may interrupt us. So we are in a session of our own, no signal but KILL ends us,
 * and sandboxd may die meanwhile: the answer is on disk, sealed, before it is told. The lock on
 * that file is what keeps two brokers (of a dead sandboxd and of the next) from using the same
 * token; whoever comes second finds the first one's answer. A sandboxd that is a service of
 * systemd's has us started as another, which does not end with it. */

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "ask.h"
#include "broker-wire.h"
#include "macro.h"
#include "stored.h"

#define STORED_FD 3

/* Guarded and locked memory for all that must not be seen. */
struct broker {
	struct broker_request request;
	char url[BROKER_URL_MAX + 1];
	uint8_t body[BROKER_BODY_MAX];
	char proxies[BROKER_PROXIES_MAX + 1];
	uint8_t answer[BROKER_ANSWER_MAX];
};

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int read_all(void *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(BROKER_FD_REQUEST, (char *)data + done, size - done);

		if (n == 0 || (n < 0 && errno != EINTR))
			return -1;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int read_request(struct broker *b)
{
	if (read_all(&b->request, sizeof(b->request)) < 0 || b->request.url_size > BROKER_URL_MAX ||
	    b->request.body_size > BROKER_BODY_MAX || b->request.proxies_size > BROKER_PROXIES_MAX)
		return -1;
	return read_all(b->url, b->request.url_size) < 0 ||
			       read_all(b->body, b->request.body_size) < 0 ||
			       read_all(b->proxies, b->request.proxies_size) < 0
		       ? -1
		       : 0;
}

/* Where libcurl looks for them; they stay B's. */
static void use_proxies(struct broker *b)
{
	char *p;

	for (p = b->proxies; p < b->proxies + b->request.proxies_size; p += strlen(p) + 1)
		(void)putenv(p); /* without memory: none is used */
}

/* Nobody may be there any more to hear it: that is fine. */
static void write_all(const void *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = write(BROKER_FD_REPLY, (const char *)data + done, size - done);

		if (n < 0 && errno != EINTR)
			return;
		done += n > 0 ? (size_t)n : 0;
	}
}

static void harden(void)
{
	static const int ignored[] = {
		SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2
	};
	const struct rlimit none = { 0, 0 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ignored); i++)
		(void)signal(ignored[i], SIG_IGN); /* cannot fail for these */
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)setrlimit(RLIMIT_CORE, &none); /* lowering is always allowed */
}

/* As long as it is our stderr, a library's last words would land in it. */
static int move_stored(void)
{
	int null;

	if (dup3(BROKER_FD_STORED, STORED_FD, O_CLOEXEC) < 0)
		return -1;
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	return null < 0 || dup2(null, STDERR_FILENO) < 0 ? -1 : 0;
}

static void on_alarm(int signal)
{
	(void)signal; /* it interrupts flock() */
}

/* Waits for a broker that is still at it. SIGALRM comes again each second after the first, should
 * it come before flock() waits. */
static int lock_stored(uint32_t timeout_ms)
{
	const struct sigaction interrupt = { .sa_handler = on_alarm };
	const struct itimerval after = { { 1, 0 },
					 { timeout_ms / 1000, timeout_ms % 1000 * 1000 } };
	const struct itimerval never = { 0 };
	int r;

	(void)sigaction(SIGALRM, &interrupt, NULL); /* cannot fail */
	(void)setitimer(ITIMER_REAL, &after, NULL);
	r = flock(STORED_FD, LOCK_EX);
	(void)setitimer(ITIMER_REAL, &never, NULL);
	return r;
}

static void refresh(struct broker *b, int64_t deadline, struct broker_reply *reply)
{
	int64_t left = deadline - now_ms();

	if (stored_reserve(STORED_FD) < 0) {
		reply->outcome = BROKER_NOT_STORED;
		return;
	}
	ask(b->url, b->body, b->request.body_size, left > 0 ? (uint32_t)left : 1, b->answer, reply);
	/* only what replaces a token is kept; if the reserved place cannot be written after all,
	 * sandboxd is told all the same */
	if (reply->outcome != BROKER_ANSWERED || reply->http_status / 100 != 2 ||
	    stored_write(STORED_FD, b->request.key, b->body, b->request.body_size, b->answer,
			 reply->body_size) < 0)
		(void)ftruncate(STORED_FD, 0);
}

static void run(struct broker *b, struct broker_reply *reply)
{
	int64_t deadline = now_ms() + b->request.timeout_ms;
	size_t size = 0;

	*reply = (struct broker_reply){ .outcome = BROKER_BAD_URL };
	if (!ask_url_is_good(b->url))
		return;
	reply->outcome = BROKER_BUSY;
	if (lock_stored(b->request.timeout_ms) < 0)
		return;
	if (stored_read(STORED_FD, b->request.key, b->body, b->request.body_size, b->answer,
			&size) == 0)
		*reply = (struct broker_reply){ .outcome = BROKER_ANSWERED,
						.http_status = 200,
						.body_size = (uint32_t)size };
	else
		refresh(b, deadline, reply);
}

int main(void)
{
	struct broker_reply reply = { .outcome = BROKER_FAILED };
	struct broker *b;

	harden();
	if (move_stored() < 0)
		return 1;
	if (sodium_init() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return 1;
	b = sodium_malloc(sizeof(*b));
	if (!b)
		return 1;
	memset(b, 0, sizeof(*b));
	if (read_request(b) == 0) {
		use_proxies(b);
		run(b, &reply);
	}
	write_all(&reply, sizeof(reply));
	write_all(b->answer, reply.body_size);
	curl_global_cleanup();
	sodium_free(b); /* the environment, too: nobody looks there any more */
	return 0;
}
