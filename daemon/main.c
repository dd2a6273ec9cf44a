/* SPDX-License-Identifier: Apache-2.0 */
/* sandboxd: options, configuration, places, then the event loop until a signal; wiring only.
 *
 * What an earlier daemon left is taken over before clients are let in, as far as that takes no
 * longer than ADOPT_LIMIT_MS; the rest goes on beside them.
 *
 * A clean stop: nothing new is accepted, what was begun is finished, the last replies are sent.
 * Sandboxes and keepers live on, for the next daemon ([daemon] on_stop = stop: they are stopped
 * first). It is bounded by STOP_LIMIT_MS. */

#include <event2/event.h>
#include <getopt.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "api/api.h"
#include "api/doctor.h"
#include "api/result.h"
#include "macro.h"
#include "rpc/server.h"
#include "sandbox/config.h"
#include "sandbox/manager.h"
#include "sandbox/peer.h"
#include "sandbox/place.h"
#include "sandbox/reload.h"
#include "sandbox/service.h"
#include "store/store.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/path.h"
#include "util/strings.h"
#include "util/time.h"

#define STOP_LIMIT_MS 60000
#define ADOPT_LIMIT_MS 5000
#define REAP_LIMIT_MS 1000    /* for children that were killed at the end */
#define STOP_POLL_MS 20       /* only while stopping: many parties, one condition */
#define CHECKPOINT_SECONDS 30 /* the database's log is moved when this long has passed */

struct options {
	const char *config_file;
	const char *state_dir;
	const char *runtime_dir;
	const char *log_level;
	bool check_config;
	bool doctor;
};

struct daemon {
	struct manager manager;
	struct options options;
	struct config *config;
	struct store *store;
	struct server *server;
	struct service *service;
	struct event *signals[3];
	struct event *stop_timer;
	struct event *checkpoint_timer;
	int64_t stop_deadline_ms;
	bool idle; /* while stopping: nothing was under way in the last turn of the loop */
	int lock;
	int runtime_lock;
	bool socket_is_ours;
};

static const char usage[] =
	"usage: sandboxd [OPTION]...\n"
	"Runs sandboxes for agents; see sandboxctl(1).\n"
	"\n"
	"  --config FILE       read this file instead of the standard one\n"
	"  --state-dir DIR     keep sandboxes and templates here\n"
	"  --runtime-dir DIR   make the socket here\n"
	"  --log-level LEVEL   error, warning, notice, info, debug\n"
	"  --check-config      read the configuration, report, exit\n"
	"  --doctor            check the host, print the outcome as JSON, exit\n"
	"  --version\n"
	"  --help\n";

/* ---- configuration ---- */

/* The command line is stronger than the file. */
static int override(struct config *c, const struct options *o)
{
	int r = 0;

	if (o->state_dir)
		r = config_set_dir(&c->state_dir, "--state-dir", o->state_dir);
	if (r == 0 && o->runtime_dir)
		r = config_set_dir(&c->runtime_dir, "--runtime-dir", o->runtime_dir);
	if (r == 0 && o->log_level) {
		r = config_parse_level(o->log_level, &c->log_level);
		if (r < 0)
			log_error("--log-level %s is none of error, warning, notice, info, debug",
				  o->log_level);
	}
	return r;
}

/* What the files have now. */
static int read_config(const struct daemon *d, struct config **ret)
{
	CLEANUP(config_unrefp) struct config *c = NULL;
	int r;

	r = config_new(&c, d->manager.uid);
	if (r == 0)
		r = config_load(c, d->options.config_file);
	if (r == 0)
		r = override(c, &d->options);
	if (r == 0)
		*ret = TAKE_PTR(c);
	return r;
}

static void keep_config(const struct daemon *d, const char *why)
{
	log_error("the configuration cannot be used, going on with the old one: %s", why);
	service_reloaded(d->service, why);
}

static void use_config(struct daemon *d, struct config *new)
{
	char fixed[128];

	reload_list_fixed(d->config, new, fixed, sizeof(fixed));
	reload_apply(&d->manager, new);
	config_unref(d->config); /* goes with its last user */
	d->config = new;
	log_notice("the configuration was read again%s%s",
		   fixed[0] ? ", after a restart also: " : "", fixed);
	service_reloaded(d->service, NULL);
}

/* All of it, or nothing: half of a configuration is what nobody wrote. */
static void reload(struct daemon *d)
{
	CLEANUP(config_unrefp) struct config *new = NULL;
	char conflict[512];
	int r;

	service_reloading(d->service);
	r = read_config(d, &new);
	if (r < 0)
		keep_config(d, strerror(-r));
	else if (new->problems > 0)
		keep_config(d, new->first_problem ? new->first_problem : strerror(ENOMEM));
	else if (reload_conflicts(&d->manager, new, conflict, sizeof(conflict)))
		keep_config(d, conflict);
	else
		use_config(d, TAKE_PTR(new));
}

/* ---- clean stop ---- */

static void stop_step(struct daemon *d)
{
	bool late = time_monotonic_ms() > d->stop_deadline_ms, was_idle = d->idle;
	struct timeval delay = { 0 };

	d->idle = !manager_stop(&d->manager) && (!d->server || server_is_flushed(d->server));
	if (!d->idle)
		delay.tv_usec = STOP_POLL_MS * 1000;
	/* what ended in this turn of the loop is told in the next */
	if (!late && !(d->idle && was_idle)) {
		(void)event_add(d->stop_timer, &delay); /* armed before: cannot run out of memory */
		return;
	}
	if (late)
		log_warning("not everything has stopped in %d s, the next start goes on with it",
			    STOP_LIMIT_MS / 1000);
	(void)event_base_loopbreak(d->manager.base); /* we are inside the loop */
}

static void on_stop_timer(evutil_socket_t fd, short events, void *userdata)
{
	(void)fd;
	(void)events;
	stop_step(userdata);
}

static void on_signal(evutil_socket_t number, short events, void *userdata)
{
	struct daemon *d = userdata;

	(void)events;
	if (d->manager.stopping)
		return; /* under way, and bounded */
	if (number == SIGHUP) {
		reload(d);
		return;
	}
	log_notice("stopping: %s", strsignal((int)number));
	service_stopping(d->service);
	d->stop_deadline_ms = time_monotonic_ms() + STOP_LIMIT_MS;
	if (d->server)
		server_stop_accepting(d->server);
	stop_step(d);
}

static void on_checkpoint(evutil_socket_t fd, short events, void *userdata)
{
	struct daemon *d = userdata;

	(void)fd;
	(void)events;
	store_checkpoint(d->store);
}

static int add_events(struct daemon *d)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
	struct timeval interval = { .tv_sec = CHECKPOINT_SECONDS };
	struct event_base *base = d->manager.base;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		d->signals[i] = evsignal_new(base, numbers[i], on_signal, d);
		if (!d->signals[i] || event_add(d->signals[i], NULL) < 0)
			return -ENOMEM;
	}
	d->stop_timer = evtimer_new(base, on_stop_timer, d);
	d->checkpoint_timer = event_new(base, -1, EV_PERSIST, on_checkpoint, d);
	if (!d->stop_timer || !d->checkpoint_timer || event_add(d->checkpoint_timer, &interval) < 0)
		return -ENOMEM;
	return 0;
}

static void free_events(struct daemon *d)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(d->signals); i++)
		if (d->signals[i])
			event_free(d->signals[i]);
	if (d->stop_timer)
		event_free(d->stop_timer);
	if (d->checkpoint_timer)
		event_free(d->checkpoint_timer);
}

/* ---- libevent's own words ---- */

static void on_libevent_log(int severity, const char *text)
{
	enum log_level level = severity >= EVENT_LOG_WARN ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG;

	log_message(level, NULL, "libevent: %s", text);
}

static void on_libevent_fatal(int error)
{
	log_error("libevent: fatal error %d, ending", error);
	_exit(70); /* it must not return; the next daemon takes our sandboxes over */
}

/* ---- start ---- */

/* A keeper in DIR/REST: DIR/REST without the keeper. NULL: there is none. */
static char *libexec_at(const char *dir, const char *rest, const char *keeper)
{
	CLEANUP_STR char *found = string_format("%s%s", dir, rest);
	CLEANUP_STR char *program = found ? string_format("%s/%s", found, keeper) : NULL;

	return program && access(program, X_OK) == 0 ? TAKE_PTR(found) : NULL;
}

/* In a build tree the other programs lie beside ours; what was installed may have been moved as a
 * whole (DESTDIR, a package unpacked elsewhere), so we look beside ourselves first. */
static char *find_libexec(const struct config *config)
{
	const char *from_environment = getenv("SANDBOXD_LIBEXEC_DIR");
	CLEANUP_STR char *self = NULL;
	char *found = NULL;
	char *slash;

	if (from_environment && path_is_clean(from_environment))
		return strdup(from_environment);
	if (config->libexec_dir)
		return strdup(config->libexec_dir);
	if (path_of_self(&self) == 0)
		found = libexec_at(self, "", "keeper/sandbox-keeper");
	slash = self ? strrchr(self, '/') : NULL;
	if (!found && slash) {
		*slash = '\0';
		found = libexec_at(self, "/libexec/sandboxd", "sandbox-keeper");
	}
	return found ? found : strdup(SANDBOXD_LIBEXEC_DIR);
}

static int print_doctor(const struct config *config)
{
	CLEANUP_STR char *libexec = find_libexec(config);

	return libexec ? doctor_print(config, libexec) : -ENOMEM;
}

static int open_store(struct daemon *d)
{
	CLEANUP_STR char *path = string_format("%s/state.db", d->config->state_dir);
	int r = path ? store_open(&d->store, path, d->config->durable) : -ENOMEM;

	if (r < 0)
		log_errno(LOG_LEVEL_ERROR, r, "cannot use the database in %s",
			  d->config->state_dir);
	return r;
}

static int make_server(struct daemon *d)
{
	struct server_config config = { .base = d->manager.base,
					.handlers = api_handlers,
					.userdata = &d->manager,
					.admit = peer_admit };
	int r;

	config.listen_fd = place_listen(d->config, d->manager.uid, &d->socket_is_ours);
	if (config.listen_fd < 0)
		return config.listen_fd;
	r = server_new(&d->server, &config);
	if (r < 0)
		return log_errno(LOG_LEVEL_ERROR, r, "cannot serve");
	d->manager.server = d->server;
	return 0;
}

static int make_manager(struct daemon *d)
{
	struct manager *m = &d->manager;
	int r;

	m->config = d->config;
	m->store = d->store;
	m->libexec_dir = find_libexec(d->config);
	m->describe_result = value_exec_result_text;
	m->base = event_base_new();
	if (!m->base || !m->libexec_dir)
		return -ENOMEM;
	r = manager_init(m);
	if (r < 0)
		log_errno(LOG_LEVEL_ERROR, r, "cannot start");
	return r;
}

static void on_late(evutil_socket_t fd, short events, void *userdata)
{
	bool *late = userdata;

	(void)fd;
	(void)events;
	*late = true;
	log_warning("not everything is taken over yet, going on beside it");
}

/* Runs the loop until what was left is ours. */
static int adopt(struct daemon *d)
{
	const struct timeval patience = { .tv_sec = ADOPT_LIMIT_MS / 1000 };
	struct event_base *base = d->manager.base;
	bool late = false;
	struct event *timer = evtimer_new(base, on_late, &late);
	int r = timer && event_add(timer, &patience) == 0 ? 0 : -ENOMEM;

	while (r == 0 && !late && !event_base_got_break(base) && manager_is_adopting(&d->manager))
		if (event_base_loop(base, EVLOOP_ONCE) < 0)
			r = -EIO;
	if (timer)
		event_free(timer);
	if (r == 0)
		manager_adopted(&d->manager);
	return r;
}

static int start(struct daemon *d)
{
	int r;

	r = place_make(d->config, d->manager.uid);
	if (r < 0)
		return r;
	d->lock = place_lock(d->config);
	if (d->lock < 0)
		return d->lock;
	d->runtime_lock = place_lock_runtime(d->config);
	if (d->runtime_lock < 0)
		return d->runtime_lock;
	r = open_store(d);
	if (r == 0)
		r = make_manager(d);
	if (r == 0)
		r = add_events(d);
	if (r == 0)
		r = service_new(&d->service, &d->manager);
	if (r == 0)
		r = adopt(d);
	if (r == 0 && !d->manager.stopping)
		r = make_server(d);
	return r;
}

static void on_enough(evutil_socket_t fd, short events, void *userdata)
{
	bool *enough = userdata;

	(void)fd;
	(void)events;
	*enough = true;
}

/* What somebody still waited for was killed, and its end is all that the loop has left. */
static void reap_children(struct event_base *base)
{
	const struct timeval patience = { .tv_sec = REAP_LIMIT_MS / 1000 };
	bool enough = false;
	struct event *timer = evtimer_new(base, on_enough, &enough);

	if (timer && event_add(timer, &patience) == 0)
		while (!enough && event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED) > 1)
			if (event_base_loop(base, EVLOOP_ONCE) < 0)
				break;
	if (timer)
		event_free(timer);
}

static void shut_down(struct daemon *d)
{
	server_free(d->server);
	if (d->manager.base)
		manager_deinit(&d->manager);
	free_events(d);
	service_free(d->service);
	if (d->manager.base)
		reap_children(d->manager.base);
	if (d->manager.base)
		event_base_free(d->manager.base);
	if (d->socket_is_ours)
		place_unlink_socket(d->config);
	store_free(d->store);
	free((void *)(uintptr_t)d->manager.libexec_dir); /* const for everybody else */
	(void)close_fd(d->runtime_lock);
	(void)close_fd(d->lock);
	config_unref(d->config);
}

static int run(struct daemon *d)
{
	int r = start(d);

	if (r == 0 && !event_base_got_break(d->manager.base)) {
		log_notice("sandboxd " SANDBOXD_VERSION " is ready");
		service_ready(d->service);
		r = event_base_dispatch(d->manager.base);
	}
	shut_down(d);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- options ---- */

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "state-dir", required_argument, NULL, 's' },
		{ "runtime-dir", required_argument, NULL, 'r' },
		{ "log-level", required_argument, NULL, 'l' },
		{ "check-config", no_argument, NULL, 'C' },
		{ "doctor", no_argument, NULL, 'D' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) >= 0) {
		switch (c) {
		case 'c':
			o->config_file = optarg;
			break;
		case 's':
			o->state_dir = optarg;
			break;
		case 'r':
			o->runtime_dir = optarg;
			break;
		case 'l':
			o->log_level = optarg;
			break;
		case 'C':
			o->check_config = true;
			break;
		case 'D':
			o->doctor = true;
			break;
		case 'V':
			(void)puts("sandboxd " SANDBOXD_VERSION); /* to a closed stdout: no harm */
			exit(EXIT_SUCCESS);
		case 'h':
			(void)fputs(usage, stdout); /* to a closed stdout: no harm */
			exit(EXIT_SUCCESS);
		default:
			return -EINVAL;
		}
	}
	if (optind == argc)
		return 0;
	log_error("unexpected argument %s, see sandboxd --help", argv[optind]);
	return -EINVAL;
}

/* Node trusts the authorities that it brought along, and programs of the system those of the
 * system. Where some were added to the machine it is to know them, too, also below a service, which
 * has nobody's environment. What is in ours goes into sandboxes and builds (sandbox-env.c,
 * tool-env.c). */
static void trust_added_authorities(void)
{
	static const char bundle[] = "/etc/ssl/certs/ca-certificates.crt";
	const char *given = getenv("NODE_EXTRA_CA_CERTS");
	glob_t found = { 0 };

	if (given && given[0])
		return;
	if (glob("/usr/local/share/ca-certificates/{,*/}*.crt", GLOB_BRACE | GLOB_NOSORT, NULL,
		 &found) == 0 &&
	    access(bundle, R_OK) == 0)
		(void)setenv("NODE_EXTRA_CA_CERTS", bundle, 1); /* no memory: as without */
	globfree(&found);
}

/* What concerns the process itself. */
static void prepare_process(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	(void)umask(022);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	if (prctl(PR_SET_DUMPABLE, 0) < 0) /* environments and later secrets are in our memory */
		log_errno(LOG_LEVEL_WARNING, -errno, "cannot forbid core dumps");
	if (fd_raise_limit() < 0)
		log_warning("cannot raise the limit of open files, going on");
	trust_added_authorities();
	event_set_log_callback(on_libevent_log);
	event_set_fatal_callback(on_libevent_fatal);
}

int main(int argc, char **argv)
{
	struct daemon d = { .lock = -1, .runtime_lock = -1 };
	struct options *options = &d.options;
	int r;

	d.manager.uid = geteuid();
	d.manager.is_root = d.manager.uid == 0;
	d.manager.state_fd = d.manager.runtime_fd = -1;
	if (parse_options(argc, argv, options) < 0)
		return 2;
	r = read_config(&d, &d.config);
	if (r == 0)
		log_set_level(d.config->log_level);
	if (r == 0 && options->check_config)
		r = d.config->problems > 0 ? -EINVAL : 0;
	else if (r == 0 && options->doctor)
		r = print_doctor(d.config);
	if (r < 0 || options->check_config || options->doctor) {
		config_unref(d.config);
		return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	prepare_process();
	return run(&d);
}
