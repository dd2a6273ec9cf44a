/* SPDX-License-Identifier: Apache-2.0 */
/* The exec side between a made-up init (a seqpacket socket that the test plays) and the made-up
 * neighbours of exec-fixture.c. */
#undef NDEBUG
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

#define GRACE_MS 60
#define PATIENCE_MS 2000

static struct manager manager;
static struct config config;
static char directory[] = "/tmp/test-exec-XXXXXX";
static char socket_path[64];
static int init_fd = -1; /* init's end */
static struct wire_message *said;
static bool ready, client_lost;

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

static void turn(void)
{
	(void)event_base_loop(manager.base, EVLOOP_NONBLOCK);
}

/* The next message of the daemon, which must be of TYPE. */
static const void *hear(enum init_message_type type)
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

static void hear_nothing(void)
{
	turn();
	ck_assert_int_eq(wire_receive(init_fd, said), -EAGAIN);
}

static void say(void *message, uint16_t type, size_t size)
{
	struct wire_header *h = message;

	h->version = INIT_WIRE_VERSION;
	h->type = type;
	h->size = (uint32_t)size;
	assert(send(init_fd, message, size, MSG_NOSIGNAL) == (ssize_t)size);
	turn();
}

static void say_started(uint64_t exec, enum init_start_error why, int error)
{
	struct init_started m = {
		.header.error = -error, .exec = exec, .start_error = why, .pid = 42
	};

	say(&m, INIT_STARTED, sizeof(m));
}

static void say_exited(uint64_t exec, int code, int signal_number, uint32_t alive)
{
	struct init_exited m = { .exec = exec,
				 .exit_code = code,
				 .signal = signal_number,
				 .cpu_usec = 5000,
				 .max_rss_bytes = 4096,
				 .alive = alive };

	say(&m, INIT_EXITED, sizeof(m));
}

static void say_gone(uint64_t exec, uint32_t killed)
{
	struct init_gone m = { .exec = exec, .killed = killed };

	say(&m, INIT_GONE, sizeof(m));
}

/* ---- a follower ---- */

static unsigned started, ended;

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
static struct exec_run_params params;
static struct exec *exec;
static struct exec_follow *follow;

static void start(int fd)
{
	static const struct exec_follower follower = { .on_started = on_started,
						       .on_ended = on_ended };
	CLEANUP_ERROR struct error e = { 0 };
	int fds[3] = { -1, fd, fd < 0 ? -1 : dup(fd) };

	ck_assert_int_eq(exec_start(&manager, &box, &params, fds, &exec, &e), 0);
	ck_assert_int_eq(exec_follow(exec, &follower, NULL, &follow), 0);
}

static uint64_t start_and_hear(int fd)
{
	const struct init_exec *m;
	uint64_t number;

	start(fd);
	m = hear(INIT_EXEC);
	number = m->exec;
	wire_message_done(said);
	return number;
}

static uint64_t start_running(int fd)
{
	uint64_t number = start_and_hear(fd);

	say_started(number, INIT_START_OK, 0);
	ck_assert_uint_eq(started, 1);
	ck_assert_int_eq(exec_facts(exec)->state, EXEC_STATE_RUNNING);
	return number;
}

static int null_fd(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static void wait_ended(void)
{
	int64_t until = time_monotonic_ms() + PATIENCE_MS;

	while (ended == 0 && time_monotonic_ms() < until) {
		turn();
		(void)usleep(500);
	}
	ck_assert_uint_eq(ended, 1);
}

static void expect(enum exec_cause cause, int code, int signal_number)
{
	const struct exec_result *r = &exec_facts(exec)->result;

	ck_assert_uint_eq(ended, 1);
	ck_assert_str_eq(exec_cause_to_string(r->cause), exec_cause_to_string(cause));
	ck_assert_int_eq(r->exit_code, code);
	ck_assert_int_eq(r->signal, signal_number);
	ck_assert_uint_eq(exec_running_in(&manager, &box), 0);
}

static int64_t start_ms; /* 0: as long as always */
static unsigned slow;

static void on_slow(void *userdata)
{
	(void)userdata;
	slow++;
}

static void setup(void)
{
	static struct init_client_watch watch = { .on_ready = on_ready,
						  .on_lost = on_client_lost,
						  .on_slow = on_slow };
	struct wire_header hello = { 0 };
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
	box = (struct sandbox){ .has_keeper = true, .has_users = true };
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
	assert(init_client_new(&box.init, manager.base, socket_path, &watch, NULL) == 0);
	init_fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert(init_fd >= 0);
	(void)close(listening);
	(void)hear(INIT_HELLO);
	say(&hello, INIT_HELLO, sizeof(hello));
	assert(ready);
}

static void setup_impatient(void)
{
	start_ms = 100;
	setup();
}

static void setup_patient(void)
{
	start_ms = INIT_SLOW_MS * 10;
	setup();
}

static void teardown(void)
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

START_TEST(own_descriptors_go_straight_to_init)
{
	uint64_t number;

	start(null_fd());
	(void)hear(INIT_EXEC); /* the very next thing */
	number = ((const struct init_exec *)(const void *)said->data)->exec;
	ck_assert_uint_eq(((const struct init_exec *)(const void *)said->data)->flags,
			  INIT_EXEC_HAS_STDOUT | INIT_EXEC_HAS_STDERR);
	ck_assert_uint_eq(said->n_fds, 2);
	wire_message_done(said);
	say_started(number, INIT_START_OK, 0);
	ck_assert_int_eq(exec_facts(exec)->pid, 42);
	say_exited(number, 3, 0, 0);
	expect(EXEC_CAUSE_EXITED, 3, 0);
	ck_assert_uint_eq(exec_facts(exec)->result.cpu_ms, 5);
	ck_assert_uint_eq(exec_facts(exec)->streams, 0);
	ck_assert_uint_eq(spool.finishes, 0);
	(void)hear(INIT_ACK);
}
END_TEST

START_TEST(captured_output)
{
	uint64_t number = start_running(-1);

	ck_assert_uint_eq(exec_facts(exec)->streams, 3);
	say_exited(number, 0, 0, 0);
	wait_ended();
	expect(EXEC_CAUSE_EXITED, 0, 0);
	ck_assert_uint_eq(spool.finishes, 1);
	(void)usleep(30000);
	turn();
	ck_assert_uint_eq(rows, 2); /* the one of the last run and this one */
}
END_TEST

START_TEST(a_row_that_was_lost_is_written_anew)
{
	uint64_t number;

	params.detach = true;
	batch_error = -ENOSPC;
	number = start_running(null_fd());
	(void)usleep(30000);
	turn();
	ck_assert_uint_eq(rows, 1); /* that of the last run */
	batch_error = 0;
	say_exited(number, 0, 0, 0);
	expect(EXEC_CAUSE_EXITED, 0, 0);
	(void)usleep(30000);
	turn();
	ck_assert_uint_eq(rows, 2);
}
END_TEST

START_TEST(keeper_refuses)
{
	spool.error = -ENOSPC;
	start(-1);
	wait_ended();
	expect(EXEC_CAUSE_NEVER_STARTED, -1, 0);
	ck_assert_int_eq(exec_facts(exec)->result.start_errno, ENOSPC);
	ck_assert_uint_eq(started, 0);
}
END_TEST

START_TEST(signals_and_oom)
{
	uint64_t number = start_running(null_fd());

	box.oom_kills = (uint64_t)_i;
	say_exited(number, -1, SIGKILL, 0);
	expect(_i > 0 ? EXEC_CAUSE_OOM : EXEC_CAUSE_SIGNALED, -1, SIGKILL);
	ck_assert_uint_eq(exec_facts(exec)->result.oom_kills, (uint64_t)_i);
}
END_TEST

START_TEST(cannot_be_started)
{
	uint64_t number = start_and_hear(null_fd());

	say_started(number, INIT_START_NOT_FOUND, ENOENT);
	expect(EXEC_CAUSE_NEVER_STARTED, -1, 0);
	ck_assert_uint_eq(exec_facts(exec)->result.start_error, INIT_START_NOT_FOUND);
	ck_assert_int_eq(exec_facts(exec)->result.start_errno, ENOENT);
	ck_assert_uint_eq(started, 0);
}
END_TEST

START_TEST(too_big_is_a_result)
{
	char *big = calloc(1, EXEC_ARGS_BYTES_MAX + 1);
	const char *argv[] = { big, NULL };

	memset(big, 'x', EXEC_ARGS_BYTES_MAX);
	params.command = (struct strings){ argv, 1 };
	start(null_fd());
	ck_assert_uint_eq(ended, 0); /* never from inside the call */
	turn();
	expect(EXEC_CAUSE_NEVER_STARTED, -1, 0);
	ck_assert_uint_eq(exec_facts(exec)->result.start_error, INIT_START_TOO_BIG);
	free(big);
}
END_TEST

START_TEST(leftovers_are_drained_and_killed)
{
	int64_t before = time_monotonic_ms();
	uint64_t number = start_running(_i == 0 ? null_fd() : -1);

	say_exited(number, 0, 0, 2);
	ck_assert_uint_eq(ended, 0);
	ck_assert_uint_eq(((const struct init_exec_ref *)hear(INIT_KILL))->exec, number);
	if (_i == 0) /* nobody tells when its pipes are empty */
		ck_assert_int_ge(time_monotonic_ms() - before, EXEC_DRAIN_MS - 5);
	say_gone(number, 2);
	wait_ended();
	expect(EXEC_CAUSE_EXITED, 0, 0);
	ck_assert_uint_eq(exec_facts(exec)->result.leftovers, 2);
	ck_assert_uint_eq(spool.finishes, (unsigned)_i);
	(void)hear(INIT_ACK);
}
END_TEST

START_TEST(leftovers_are_kept)
{
	uint64_t number;

	params.leftovers = LEFTOVERS_KEEP;
	number = start_running(-1);
	say_exited(number, 0, 0, 2);
	wait_ended();
	expect(EXEC_CAUSE_EXITED, 0, 0);
	ck_assert_uint_eq(exec_facts(exec)->result.leftovers, 2);
	(void)hear(INIT_ACK); /* and no kill */
}
END_TEST

START_TEST(timeout_terms_then_kills)
{
	const struct init_signal *term;
	int64_t before;
	uint64_t number;

	params.timeout_ms = 30;
	number = start_running(null_fd());
	term = hear(INIT_SIGNAL);
	before = time_monotonic_ms();
	ck_assert_uint_eq(term->exec, number);
	ck_assert_int_eq(term->signal, SIGTERM);
	ck_assert_uint_eq(term->target, INIT_TARGET_GROUP);
	(void)hear(INIT_KILL);
	ck_assert_int_ge(time_monotonic_ms() - before, GRACE_MS - 5);
	say_exited(number, -1, SIGKILL, 1);
	ck_assert_uint_eq(ended, 0); /* not before all are dead */
	say_gone(number, 1);
	expect(EXEC_CAUSE_TIMEOUT, -1, SIGKILL);
	ck_assert_uint_eq(exec_facts(exec)->result.leftovers, 1);
}
END_TEST

START_TEST(timeout_and_it_ends_in_its_grace)
{
	uint64_t number;

	params.timeout_ms = 30;
	number = start_running(null_fd());
	(void)hear(INIT_SIGNAL);
	say_exited(number, 0, 0, 0);
	expect(EXEC_CAUSE_TIMEOUT, 0, 0);
	(void)hear(INIT_ACK);
}
END_TEST

START_TEST(cancelled_before_it_started)
{
	uint64_t number = start_and_hear(null_fd());

	exec_end(exec, EXEC_CAUSE_CANCELLED);
	exec_end(exec, EXEC_CAUSE_TIMEOUT); /* the first reason counts */
	hear_nothing();
	say_started(number, INIT_START_OK, 0);
	(void)hear(INIT_SIGNAL);
	say_exited(number, -1, SIGTERM, 0);
	expect(EXEC_CAUSE_CANCELLED, -1, SIGTERM);
}
END_TEST

START_TEST(cancelled_before_init_knows)
{
	start(-1);
	exec_end(exec, EXEC_CAUSE_CANCELLED);
	wait_ended();
	expect(EXEC_CAUSE_CANCELLED, -1, 0);
	hear_nothing();
}
END_TEST

START_TEST(init_dies)
{
	(void)start_running(_i == 0 ? null_fd() : -1);
	init_fd = close_fd(init_fd);
	wait_ended();
	expect(EXEC_CAUSE_SANDBOX_LOST, -1, 0);
	ck_assert(client_lost);
	ck_assert_uint_eq(slow, 0);
}
END_TEST

/* Its owner hears of it in time, and again. */
START_TEST(init_is_slow)
{
	uint64_t number = start_and_hear(null_fd());

	while (slow < 2 && !client_lost) {
		turn();
		(void)usleep(500);
	}
	ck_assert(!client_lost);
	say_started(number, INIT_START_OK, 0);
	say_exited(number, 0, 0, 0);
	expect(EXEC_CAUSE_EXITED, 0, 0);
}
END_TEST

START_TEST(sandbox_is_stopped)
{
	(void)start_running(null_fd());
	exec_table_sandbox_lost(&manager, &box, EXEC_CAUSE_CANCELLED);
	ck_assert_uint_eq(ended, 0); /* never from inside the call */
	turn();
	expect(EXEC_CAUSE_CANCELLED, -1, 0);
	hear_nothing(); /* an ACK for one that has not ended would cost the connection */
}
END_TEST

static void on_execs_ended(struct sandbox *s, void *userdata)
{
	ck_assert_ptr_eq(s, &box);
	*(bool *)userdata = true;
}

START_TEST(sandbox_is_to_stop)
{
	bool done = false;
	uint64_t number;

	params.grace_ms = 3600000; /* nobody waits that long for a stop */
	number = start_running(null_fd());
	ck_assert_int_eq(exec_table_end(&manager, &box, -1, on_execs_ended, &done), 1);
	(void)hear(INIT_SIGNAL);
	turn();
	ck_assert(!done);
	say_exited(number, -1, SIGTERM, 0);
	turn();
	ck_assert(done);
	expect(EXEC_CAUSE_CANCELLED, -1, SIGTERM);
	ck_assert_int_eq(exec_table_end(&manager, &box, -1, on_execs_ended, &done), 0);
}
END_TEST

START_TEST(sandbox_is_removed_while_it_runs)
{
	(void)start_running(-1);
	exec_table_sandbox_removed(&manager, &box);
	turn();
	ck_assert_uint_eq(ended, 1);
	ck_assert_ptr_null(exec_find(&manager, 7, exec_facts(exec)->id, NULL));
	ck_assert_uint_eq(exec_table_running(&manager), 0);
}
END_TEST

START_TEST(keeper_is_gone)
{
	uint64_t number = start_running(-1);

	box.has_keeper = false;
	say_exited(number, 0, 0, 0);
	expect(EXEC_CAUSE_EXITED, 0, 0);
}
END_TEST

START_TEST(init_is_a_stranger)
{
	uint64_t number = start_running(null_fd());

	say_started(number, INIT_START_OK, 0); /* again */
	say_started(number + 99, INIT_START_OK, 0);
	say_exited(number + 99, 1, 0, 0);
	say_gone(number, 9); /* nobody asked */
	ck_assert_uint_eq(started, 1);
	ck_assert_uint_eq(ended, 0);
	say_exited(number, 0, 0, 0);
	say_exited(number, 1, 0, 0);
	expect(EXEC_CAUSE_EXITED, 0, 0);
	ck_assert(!client_lost);
}
END_TEST

static const struct {
	uint16_t type;
	size_t size;
} nonsense[] = {
	{ INIT_EXITED, sizeof(struct init_exited) - 1 },
	{ INIT_EXITED, sizeof(struct wire_header) },
	{ INIT_STARTED, sizeof(struct init_started) + 8 },
	{ INIT_HELLO, sizeof(struct wire_header) }, /* a second one */
	{ INIT_EXEC, sizeof(struct init_exited) },
	{ 999, sizeof(struct wire_header) },
};

START_TEST(init_talks_nonsense)
{
	uint8_t message[256] __attribute__((aligned(8))) = { 0 };

	(void)start_running(null_fd());
	say(message, nonsense[_i].type, nonsense[_i].size);
	wait_ended();
	expect(EXEC_CAUSE_SANDBOX_LOST, -1, 0);
	ck_assert(client_lost);
}
END_TEST

START_TEST(init_does_not_read)
{
	CLEANUP_ERROR struct error e = { 0 };
	uint64_t number = start_running(null_fd());
	unsigned sent = 0, heard = 0;

	while (exec_signal(exec, SIGUSR1, &e) == 0)
		sent++;
	ck_assert_int_eq(e.kind, ERROR_LIMIT_REACHED);
	exec_end(exec, EXEC_CAUSE_CANCELLED);
	for (; heard < sent; heard++)
		ck_assert_int_eq(((const struct init_signal *)hear(INIT_SIGNAL))->signal, SIGUSR1);
	(void)hear(INIT_KILL); /* TERM was one too many, KILL is not */
	say_exited(number, -1, SIGKILL, 0);
	say_gone(number, 0);
	expect(EXEC_CAUSE_CANCELLED, -1, SIGKILL);
}
END_TEST

/* One that started may run for as long as it likes. */
START_TEST(init_does_not_hang)
{
	uint64_t number = start_running(null_fd());
	int64_t until = time_monotonic_ms() + 3 * start_ms;

	while (time_monotonic_ms() < until) {
		turn();
		(void)usleep(500);
	}
	ck_assert(!client_lost);
	say_exited(number, 0, 0, 0);
	expect(EXEC_CAUSE_EXITED, 0, 0);
}
END_TEST

/* Something inside stops what init starts, and init with it. */
START_TEST(init_hangs)
{
	(void)start_and_hear(null_fd());
	wait_ended();
	expect(EXEC_CAUSE_SANDBOX_LOST, -1, 0);
	ck_assert(client_lost);
}
END_TEST

START_TEST(ids)
{
	CLEANUP_ERROR struct error e = { 0 };
	int fds[3] = { -1, -1, -1 };
	struct exec *second = NULL;

	ck_assert_ptr_nonnull(exec_find(&manager, 7, "old", &e)); /* from the last run */
	ck_assert_int_eq(exec_facts(exec_find(&manager, 0, "old", &e))->result.cause,
			 EXEC_CAUSE_SANDBOX_LOST);
	ck_assert_ptr_null(exec_find(&manager, 8, "old", &e));
	ck_assert_int_eq(e.kind, ERROR_NOT_FOUND);
	params.exec_id = "mine";
	(void)start_running(null_fd());
	ck_assert_ptr_eq(exec_find(&manager, 7, "mine", &e), exec);
	ck_assert_int_eq(exec_start(&manager, &box, &params, fds, &second, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_ALREADY_EXISTS);
	box.facts.peer = 8; /* another's may have the same name */
	fds[1] = null_fd();
	ck_assert_int_eq(exec_start(&manager, &box, &params, fds, &second, &e), 0);
	ck_assert_ptr_eq(exec_find(&manager, 8, "mine", &e), second);
	ck_assert_ptr_eq(exec_find(&manager, 7, "mine", &e), exec);
	(void)exec_unref(second);
	box.hidden = true;
	ck_assert_ptr_null(exec_find(&manager, 7, "mine", &e));
	ck_assert_ptr_null(exec_find(&manager, 0, "mine", &e));
}
END_TEST

/* What is refused, and which parameter is named. */
START_TEST(refusals)
{
	static const struct file_params bad_file = { .path = "../x", .mode = 0600 };
	static const struct pair bad_pair = { "A=B", "c" };
	CLEANUP_ERROR struct error e = { 0 };
	int fds[3] = { -1, -1, -1 };
	const char *field = NULL;
	enum error_kind kind = ERROR_INVALID_PARAMS;

	switch (_i) {
	case 0:
		params.command.count = 0;
		field = "command";
		break;
	case 1:
		params.work_dir = "tmp";
		field = "workDir";
		break;
	case 2:
		params.user = "nobody";
		field = "user";
		break;
	case 3:
		params.files = (struct files_params){ &bad_file, 1 };
		field = "files[0].path";
		break;
	case 4:
		params.env = (struct pairs){ &bad_pair, 1 };
		field = "env";
		break;
	case 5:
		params.tty.given = true;
		fds[2] = null_fd();
		field = "stderr";
		break;
	case 6:
		params.capture = CAPTURE_MERGED;
		fds[1] = null_fd();
		field = "capture";
		break;
	case 7:
		params.user = "root";
		box.has_users = false;
		field = "user";
		kind = ERROR_UNAVAILABLE;
		break;
	default:
		box.init = init_client_free(box.init);
		kind = ERROR_INVALID_STATE;
		break;
	}
	ck_assert_int_eq(exec_start(&manager, &box, &params, fds, &exec, &e), -1);
	ck_assert_int_eq(e.kind, kind);
	if (field)
		ck_assert_str_eq(e.field, field);
	ck_assert_uint_eq(exec_table_running(&manager), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("exec");
	TCase *t = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, own_descriptors_go_straight_to_init);
	tcase_add_test(t, captured_output);
	tcase_add_test(t, a_row_that_was_lost_is_written_anew);
	tcase_add_test(t, keeper_refuses);
	tcase_add_loop_test(t, signals_and_oom, 0, 2);
	tcase_add_test(t, cannot_be_started);
	tcase_add_test(t, too_big_is_a_result);
	tcase_add_loop_test(t, leftovers_are_drained_and_killed, 0, 2);
	tcase_add_test(t, leftovers_are_kept);
	tcase_add_test(t, timeout_terms_then_kills);
	tcase_add_test(t, timeout_and_it_ends_in_its_grace);
	tcase_add_test(t, cancelled_before_it_started);
	tcase_add_test(t, cancelled_before_init_knows);
	tcase_add_loop_test(t, init_dies, 0, 2);
	tcase_add_test(t, sandbox_is_stopped);
	tcase_add_test(t, sandbox_is_to_stop);
	tcase_add_test(t, sandbox_is_removed_while_it_runs);
	tcase_add_test(t, keeper_is_gone);
	tcase_add_test(t, init_is_a_stranger);
	tcase_add_loop_test(t, init_talks_nonsense, 0, (int)ARRAY_SIZE(nonsense));
	tcase_add_test(t, init_does_not_read);
	tcase_add_test(t, ids);
	tcase_add_loop_test(t, refusals, 0, 9);
	suite_add_tcase(s, t);
	t = tcase_create("impatient");
	tcase_add_checked_fixture(t, setup_impatient, teardown);
	tcase_add_test(t, init_does_not_hang);
	tcase_add_test(t, init_hangs);
	suite_add_tcase(s, t);
	t = tcase_create("patient");
	tcase_add_checked_fixture(t, setup_patient, teardown);
	tcase_add_test(t, init_is_slow);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
