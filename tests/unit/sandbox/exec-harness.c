/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include "exec-harness.h"

#include <assert.h>
#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bounds.h"
#include "exec-fixture.h"
#include "macro.h"
#include "sandbox/config.h"
#include "sandbox/exec.h"
#include "sandbox/init-client.h"
#include "sandbox/keeper-client.h"
#include "sandbox/manager.h"
#include "sandbox/sandbox.h"
#include "store/execs.h"
#include "util/fd.h"
#include "util/time.h"

struct manager manager;
struct config config;
static char directory[] = "/tmp/test-exec-XXXXXX";
static char socket_path[64];
int init_fd = -1; /* init's end */
struct wire_message *said;
bool ready, client_lost;

/* ---- the made-up init ---- */

static void on_ready(struct init_client *c, int error, void *userdata)
{
	(void)c;
	(void)userdata;
	assert(error == 0);
	ready = true;
}

static void on_client_lost(struct init_client *c, void *userdata)
{
	(void)userdata;
	assert(c == box.init);
	client_lost = true;
	box.init = init_client_free(c);
}

/* As libevent's timers have it: they lag behind the true time where ticks come late. */
int64_t loop_ms(void)
{
	struct timespec now;

	assert(clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void turn(void)
{
	(void)event_base_loop(manager.base, EVLOOP_NONBLOCK);
}

/* The next message of the daemon, which must be of TYPE. */
const void *hear(enum init_message_type type)
{
	int64_t until = time_monotonic_ms() + PATIENCE_MS;
	int r;

	for (;;) {
		r = wire_receive(init_fd, said);
		if (r != -EAGAIN || time_monotonic_ms() > until)
			break;
		(void)event_base_loop(manager.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		(void)usleep(500);
	}
	ck_assert_int_eq(r, 1);
	ck_assert_uint_eq(wire_head(said)->type, type);
	return said->data;
}

void hear_nothing(void)
{
	turn();
	ck_assert_int_eq(wire_receive(init_fd, said), -EAGAIN);
}

void say(void *message, uint16_t type, size_t size)
{
	struct wire_header *h = message;

	h->version = INIT_WIRE_VERSION;
	h->type = type;
	h->size = (uint32_t)size;
	assert(send(init_fd, message, size, MSG_NOSIGNAL) == (ssize_t)size);
	turn();
}

void say_started(uint64_t number, enum init_start_error why, int error)
{
	struct init_started m = {
		.header.error = -error, .exec = number, .start_error = why, .pid = 42
	};

	say(&m, INIT_STARTED, sizeof(m));
}

void say_exited(uint64_t number, int code, int signal_number, uint32_t alive)
{
	struct init_exited m = { .exec = number,
				 .exit_code = code,
				 .signal = signal_number,
				 .cpu_usec = 5000,
				 .max_rss_bytes = 4096,
				 .alive = alive };

	say(&m, INIT_EXITED, sizeof(m));
}

void say_gone(uint64_t number, uint32_t killed)
{
	struct init_gone m = { .exec = number, .killed = killed };

	say(&m, INIT_GONE, sizeof(m));
}

/* ---- a follower ---- */

unsigned started, ended;

static void on_started(struct exec *e, void *userdata)
{
	(void)e;
	(void)userdata;
	started++;
}

static void on_ended(struct exec *e, void *userdata)
{
	ck_assert_int_eq(exec_facts(e)->state, EXEC_STATE_ENDED);
	(void)userdata;
	ended++;
}

static const char *const true_command[] = { "true", NULL };
struct exec_run_params params;
struct exec *exec;
struct exec_follow *follow;

void start(int fd)
{
	static const struct exec_follower follower = { .on_started = on_started,
						       .on_ended = on_ended };
	CLEANUP_ERROR struct error e = { 0 };
	int fds[3] = { -1, fd, fd < 0 ? -1 : dup(fd) };

	ck_assert_int_eq(exec_start(&manager, &box, &params, fds, &exec, &e), 0);
	ck_assert_int_eq(exec_follow(exec, &follower, NULL, &follow), 0);
}

uint64_t start_and_hear(int fd)
{
	const struct init_exec *m;
	uint64_t number;

	start(fd);
	m = hear(INIT_EXEC);
	number = m->exec;
	wire_message_done(said);
	return number;
}

uint64_t start_running(int fd)
{
	uint64_t number = start_and_hear(fd);

	say_started(number, INIT_START_OK, 0);
	ck_assert_uint_eq(started, 1);
	ck_assert_int_eq(exec_facts(exec)->state, EXEC_STATE_RUNNING);
	return number;
}

int null_fd(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

void wait_ended(void)
{
	int64_t until = time_monotonic_ms() + PATIENCE_MS;

	while (ended == 0 && time_monotonic_ms() < until) {
		turn();
		(void)usleep(500);
	}
	ck_assert_uint_eq(ended, 1);
}

void expect(enum exec_cause cause, int code, int signal_number)
{
	const struct exec_result *r = &exec_facts(exec)->result;

	ck_assert_uint_eq(ended, 1);
	ck_assert_str_eq(exec_cause_to_string(r->cause), exec_cause_to_string(cause));
	ck_assert_int_eq(r->exit_code, code);
	ck_assert_int_eq(r->signal, signal_number);
	ck_assert_uint_eq(exec_running_in(&manager, &box), 0);
}

/* What it says between HELLO and LISTED. */
static void say_nothing(void)
{
}
void (*say_known)(void) = say_nothing;

bool box_runs;
int64_t start_ms; /* 0: as long as always */
unsigned slow;

static void on_slow(void *userdata)
{
	(void)userdata;
	slow++;
}

void setup(void)
{
	static struct init_client_watch watch = { .on_ready = on_ready,
						  .on_lost = on_client_lost,
						  .on_slow = on_slow };
	struct init_hello_reply hello = { 0 };
	struct wire_header listed = { 0 };
	const struct init_hello *heard;
	int listening;

	watch.start_ms = start_ms;
	assert(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	assert(mkdtemp(directory));
	(void)snprintf(socket_path, sizeof(socket_path), "%s/init", directory);
	config = (struct config){ .spool_max = SPOOL_MAX_DEFAULT };
	manager = (struct manager){
		.base = event_base_new(), .config = &config, .uid = 7, .state_fd = -1
	};
	manager.state_fd = open(directory, O_PATH | O_CLOEXEC);
	box = (struct sandbox){ .has_keeper = true, .has_users = true, .runs = box_runs };
	box.facts = (struct sandbox_facts){ .id = box_id, .name = box_name, .peer = 7, .owner = 7 };
	said = malloc(sizeof(*said));
	keeper_begin(manager.base);
	params = (struct exec_run_params){ .command = { true_command, 1 },
					   .timeout_ms = -1,
					   .grace_ms = GRACE_MS,
					   .max_output_bytes = -1 };
	assert(manager.base && manager.state_fd >= 0 && said);
	assert(exec_table_new(&manager, &manager.execs) == 0);
	listening = fd_listen_unix(socket_path, SOCK_SEQPACKET, 0600, 4);
	assert(listening >= 0);
	assert(init_client_new(&box.init, manager.base, socket_path, ORPHAN_MS, &watch, NULL) == 0);
	init_fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert(init_fd >= 0);
	(void)close(listening);
	heard = hear(INIT_HELLO);
	ck_assert_uint_eq(heard->orphan_ms, ORPHAN_MS);
	say(&hello, INIT_HELLO, sizeof(hello));
	ck_assert(!ready);
	say_known();
	say(&listed, INIT_LISTED, sizeof(listed));
	assert(ready);
}

void setup_impatient(void)
{
	start_ms = 100;
	setup();
}

void setup_patient(void)
{
	start_ms = INIT_SLOW_MS * 10;
	setup();
}

void teardown(void)
{
	start_ms = 0;

	follow = exec_unfollow(follow);
	exec = exec_unref(exec);
	exec_table_free(manager.execs);
	box.init = init_client_free(box.init);
	keeper_end();
	event_base_free(manager.base);
	(void)close_fd(init_fd);
	(void)close_fd(manager.state_fd);
	free(said);
	(void)unlink(socket_path);
	(void)rmdir(directory);
}
