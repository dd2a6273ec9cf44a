/* SPDX-License-Identifier: Apache-2.0 */
/* One shell script answers everything, as records that a NUL ends: user.name, user.email, then for
 * each file "DEV INO\nPATH" or nothing. It runs as the owner, so its answer is his word: it is
 * never opened by a root daemon (claim.c), and git's values are quoted.
 *
 * What takes longer than a few seconds (a home on a file system that does not answer) is given up:
 * a sandbox without its owner's name is better than none. */

#include "sandbox/home.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/tool-profile.h"
#include "util/child.h"
#include "util/log.h"
#include "util/path.h"

#define PATIENCE_S 5
#define ANSWER_MAX (64u * 1024)
#define IDENTITY_MAX 256 /* bytes of a name or an address */
#define PASSWD_BUFFER 4096

static const char script[] =
	"cd /\n"
	"exec 2>/dev/null\n"
	"for key in user.name user.email; do\n"
	"	[ \"$1\" = no ] || git config --global --includes --get \"$key\"\n"
	"	printf '\\0'\n"
	"done\n"
	"shift\n"
	"for file; do\n"
	"	path=$(realpath -e -- \"$HOME/$file\") && [ -f \"$path\" ] && [ -r \"$path\" ] &&\n"
	"		stat -c '%d %i' -- \"$path\" && printf '%s' \"$path\"\n"
	"	printf '\\0'\n"
	"done\n";

struct home_look {
	struct child *child;
	struct event *readable;
	struct event *timer; /* time is up, or (at once) all is there */
	int fd;
	char *answer;
	size_t size;
	struct string_list overlays;
	home_seen *seen;
	void *userdata;
	uid_t owner;
	bool ended;
};

void home_view_deinit(struct home_view *v)
{
	for (size_t i = 0; i < v->n_files; i++) {
		free(v->files[i].path);
		free(v->files[i].inside);
	}
	free(v->files);
	free(v->git_config);
	*v = (struct home_view){ 0 };
}

/* ---- the answer ---- */

/* Cuts the next record off; "" at the end. */
static char *next_record(char **at, const char *end)
{
	char *record = *at;

	*at = record < end ? record + strlen(record) + 1 : record;
	return record;
}

/* A value that fits on one line of a git configuration, quoted; NULL: none. */
static char *git_value(char *text)
{
	size_t length = strcspn(text, "\n"), n = 0;
	char *quoted;

	text[length] = '\0';
	if (length == 0 || length > IDENTITY_MAX)
		return NULL;
	quoted = malloc(2 * length + 1);
	for (size_t i = 0; quoted && i < length; i++) {
		if ((unsigned char)text[i] < ' ') {
			free(quoted);
			return NULL;
		}
		if (text[i] == '"' || text[i] == '\\')
			quoted[n++] = '\\';
		quoted[n++] = text[i];
	}
	if (quoted)
		quoted[n] = '\0';
	return quoted;
}

static char *git_config(char *name_text, char *email_text)
{
	CLEANUP_STR char *name = git_value(name_text);
	CLEANUP_STR char *email = git_value(email_text);

	if (!name && !email)
		return NULL;
	return string_format("[user]\n%s%s%s%s%s%s", name ? "\tname = \"" : "", name ? name : "",
			     name ? "\"\n" : "", email ? "\temail = \"" : "", email ? email : "",
			     email ? "\"\n" : "");
}

/* RECORD is "DEV INO\nPATH", or empty. */
static void read_file(const struct home_look *l, const char *overlay, const char *record,
		      struct home_file *f)
{
	unsigned long long dev, ino;
	const char *path = strchr(record, '\n');

	f->inside = string_format(TOOL_HOME "/%s", overlay);
	if (!path || sscanf(record, "%20llu %20llu", &dev, &ino) != 2 || !path_is_clean(path + 1)) {
		log_info("~/%s is not there or not for uid %u to read: not shown in its sandbox",
			 overlay, (unsigned)l->owner);
		return;
	}
	f->path = f->inside ? strdup(path + 1) : NULL;
	f->dev = dev;
	f->ino = ino;
}

static void read_answer(const struct home_look *l, struct home_view *v)
{
	char *at = l->answer, *name, *email;
	const char *end = at + l->size;

	name = next_record(&at, end);
	email = next_record(&at, end);
	v->git_config = git_config(name, email);
	v->files = calloc(l->overlays.count + 1, sizeof(*v->files));
	for (size_t i = 0; v->files && i < l->overlays.count; i++)
		read_file(l, l->overlays.items[i], next_record(&at, end), &v->files[v->n_files++]);
}

/* ---- the process ---- */

/* All that is there by now. */
static void drain(struct home_look *l)
{
	ssize_t n;

	do {
		n = read(l->fd, l->answer + l->size, ANSWER_MAX - l->size);
		if (n > 0)
			l->size += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	l->answer[l->size] = '\0';
	if (n == 0 || errno != EAGAIN)
		(void)event_del(l->readable);
}

static void on_readable(evutil_socket_t fd, short events, void *userdata)
{
	(void)fd;
	(void)events;
	drain(userdata);
}

static void on_timer(evutil_socket_t fd, short events, void *userdata)
{
	struct home_look *l = userdata;
	struct home_view view = { 0 };
	home_seen *seen = l->seen;

	(void)fd;
	(void)events;
	if (!l->ended)
		log_warning("the home of uid %u does not answer: its sandbox goes without",
			    (unsigned)l->owner);
	read_answer(l, &view);
	userdata = l->userdata;
	(void)home_look_free(l); /* in its own timer: libevent's way */
	seen(&view, userdata);
}

static void on_ended(struct child *c, bool exited, int status, void *userdata)
{
	struct home_look *l = userdata;

	(void)c;
	(void)exited; /* what it wrote is what counts */
	(void)status;
	drain(l);
	l->ended = true;
	event_active(l->timer, 0, 0); /* the child is not to be freed from inside */
}

/* Our own home is where our environment says; another's is where passwd says. */
static char *find_home(uid_t owner)
{
	const char *home = owner == geteuid() ? getenv("HOME") : NULL;
	char buffer[PASSWD_BUFFER];
	struct passwd passwd, *found = NULL;

	if (home && path_is_clean(home))
		return strdup(home);
	if (getpwuid_r(owner, &passwd, buffer, sizeof(buffer), &found) != 0 || !found ||
	    !path_is_clean(found->pw_dir))
		return NULL;
	return strdup(found->pw_dir);
}

static int add_environment(struct string_list *env, uid_t owner)
{
	CLEANUP_STR char *home = find_home(owner);
	const char *config = owner == geteuid() ? getenv("XDG_CONFIG_HOME") : NULL;
	int r = home ? string_list_set_env(env, "HOME", home) : -ENOENT;

	if (r == 0)
		r = string_list_set_env(env, "PATH", "/usr/local/bin:/usr/bin:/bin");
	if (r == 0)
		r = string_list_set_env(env, "LC_ALL", "C");
	if (r == 0 && config)
		r = string_list_set_env(env, "XDG_CONFIG_HOME", config);
	return r;
}

/* Becomes the owner unless we are. */
static int add_command(struct string_list *argv, const struct home_query *q)
{
	char uid[32], gid[32];
	const char *const become[] = { "/usr/bin/setpriv", uid, gid, "--clear-groups",
				       "--inh-caps=-all",  "--" };
	const char *const shell[] = { "/bin/sh", "-c", script, "sh",
				      q->git_identity ? "yes" : "no" };
	char buffer[PASSWD_BUFFER];
	struct passwd passwd, *found = NULL;
	int r = 0;

	if (getpwuid_r(q->owner, &passwd, buffer, sizeof(buffer), &found) != 0)
		found = NULL;
	(void)snprintf(uid, sizeof(uid), "--reuid=%u", (unsigned)q->owner);
	(void)snprintf(gid, sizeof(gid), "--regid=%u",
		       found ? (unsigned)found->pw_gid : (unsigned)q->owner);
	for (size_t i = 0; r == 0 && q->owner != geteuid() && i < ARRAY_SIZE(become); i++)
		r = string_list_add(argv, become[i]);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(shell); i++)
		r = string_list_add(argv, shell[i]);
	for (size_t i = 0; r == 0 && i < q->overlays->count; i++)
		r = string_list_add(argv, q->overlays->items[i]);
	return r;
}

static int start(struct home_look *l, const struct home_query *q, int output)
{
	CLEANUP_STRINGS struct string_list argv = { 0 };
	CLEANUP_STRINGS struct string_list env = { 0 };
	const int fds[] = { -1, output, -1 };
	struct child_config config = { .base = q->base,
				       .fds = fds,
				       .n_fds = ARRAY_SIZE(fds),
				       .ended = on_ended,
				       .userdata = l };
	int r = add_environment(&env, q->owner);

	if (r == 0)
		r = add_command(&argv, q);
	if (r < 0)
		return r;
	config.argv = (const char *const *)argv.items;
	config.envp = (const char *const *)env.items;
	return child_start(&l->child, &config);
}

static int prepare(struct home_look *l, const struct home_query *q)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	int r = 0;

	l->answer = malloc(ANSWER_MAX + 1);
	l->readable = event_new(q->base, l->fd, EV_READ | EV_PERSIST, on_readable, l);
	l->timer = event_new(q->base, -1, 0, on_timer, l);
	if (!l->answer || !l->readable || !l->timer || event_add(l->readable, NULL) < 0 ||
	    event_add(l->timer, &patience) < 0)
		return -ENOMEM;
	l->answer[0] = '\0';
	for (size_t i = 0; r == 0 && i < q->overlays->count; i++)
		r = string_list_add(&l->overlays, q->overlays->items[i]);
	return r;
}

int home_look(struct home_look **ret, const struct home_query *q, home_seen *seen, void *userdata)
{
	struct home_look *l = calloc(1, sizeof(*l));
	CLEANUP_FD int output = -1;
	int fds[2], r;

	if (!l)
		return -ENOMEM;
	l->fd = -1;
	l->seen = seen;
	l->userdata = userdata;
	l->owner = q->owner;
	r = pipe2(fds, O_CLOEXEC) < 0 ? -errno : 0;
	if (r == 0) {
		l->fd = fds[0];
		output = fds[1];
		r = fcntl(l->fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
	}
	if (r == 0)
		r = prepare(l, q);
	if (r == 0)
		r = start(l, q, output);
	if (r < 0) {
		(void)home_look_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

struct home_look *home_look_free(struct home_look *l)
{
	if (!l)
		return NULL;
	if (l->child) {
		/* its group first, while it is not reaped and the number still its own */
		if (child_kill(l->child, SIGKILL) == 0)
			(void)kill(-child_pid(l->child), SIGKILL);
		(void)child_free(l->child); /* returns NULL */
	}
	if (l->readable)
		event_free(l->readable);
	if (l->timer)
		event_free(l->timer);
	(void)close_fd(l->fd);
	string_list_deinit(&l->overlays);
	free(l->answer);
	free(l);
	return NULL;
}
