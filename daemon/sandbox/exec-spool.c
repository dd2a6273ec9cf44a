/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper writes the spool; the daemon reads the files. They are opened by path below the state
 * directory for each reader, so that output can be read while no keeper runs.
 *
 * In a root daemon the spool directory is the owner's, who could put anything there: nothing is
 * followed (RESOLVE_NO_SYMLINKS), and only a plain file with one name that belongs to whom the
 * directory belongs is read. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "macro.h"
#include "sandbox/exec-internal.h"
#include "sandbox/exec-stdin.h"
#include "sandbox/exec-table.h"
#include "sandbox/keeper-client.h"
#include "sandbox/manager.h"
#include "sandbox/sandbox.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/time.h"

#define SPOOL_NAME_SIZE 192 /* key, dot, stream */
#define SWEEP_MAX 100000    /* files of one owner, who could make any number */
#define DISK_FULL_MS 5000   /* no space for this long: it is not coming back */

static const char *const suffixes[KEEPER_STREAM_MAX] = {
	[KEEPER_STREAM_STDOUT] = "stdout",
	[KEEPER_STREAM_STDERR] = "stderr",
	[KEEPER_STREAM_OUTPUT] = "output",
};

static int open_directory(const struct exec *e)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "owners/%u/spool", (unsigned)sandbox_owner(e->sandbox));
	return fd_open_beneath(e->manager->state_fd, path, O_PATH | O_DIRECTORY);
}

static void file_name(const struct exec *e, size_t stream, char name[static SPOOL_NAME_SIZE])
{
	(void)snprintf(name, SPOOL_NAME_SIZE, "%s.%s", e->key, suffixes[stream]);
}

int exec_open_spool(const struct exec *e, enum keeper_spool_stream stream)
{
	CLEANUP_FD int dir = open_directory(e);
	CLEANUP_FD int fd = -1;
	struct stat file, directory;
	char name[SPOOL_NAME_SIZE];

	if (dir < 0)
		return dir;
	if ((e->facts.streams & (1u << stream)) == 0)
		return -ENOENT;
	file_name(e, stream, name);
	fd = fd_open_beneath(dir, name, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return fd;
	if (fstat(fd, &file) < 0 || fstat(dir, &directory) < 0)
		return -errno;
	if (!S_ISREG(file.st_mode) || file.st_nlink != 1 || file.st_uid != directory.st_uid)
		return -EPERM;
	return TAKE_FD(fd);
}

void exec_spool_remove(const struct exec *e)
{
	struct keeper_client *k = sandbox_keeper(e->sandbox);
	CLEANUP_FD int dir = -1;
	char name[SPOOL_NAME_SIZE];
	size_t i;

	if (e->facts.streams == 0 || e->facts.spool_dropped)
		return;
	/* a large file takes a while to go: rather the keeper's time than ours */
	if (k && keeper_client_spool_remove(k, e->key) == 0)
		return;
	dir = open_directory(e);
	for (i = 0; dir >= 0 && i < KEEPER_STREAM_MAX; i++) {
		if ((e->facts.streams & (1u << i)) == 0)
			continue;
		file_name(e, i, name);
		(void)unlinkat(dir, name, 0); /* absent when nothing was written */
	}
}

/* ---- files that are nobody's ---- */

/* The key in the name of a spool's file, or NULL. */
static const char *key_of(const char *name, char key[static SPOOL_NAME_SIZE])
{
	const char *dot = strrchr(name, '.');
	size_t i;

	if (!dot || dot == name || (size_t)(dot - name) >= SPOOL_NAME_SIZE)
		return NULL;
	memcpy(key, name, (size_t)(dot - name));
	key[dot - name] = '\0';
	for (i = 0; i < KEEPER_STREAM_MAX; i++)
		if (strcmp(dot + 1, suffixes[i]) == 0)
			return key;
	return NULL;
}

static void sweep_owner(struct exec_table *t, int owners, const char *owner)
{
	char path[NAME_MAX + 8], key[SPOOL_NAME_SIZE];
	unsigned budget = SWEEP_MAX;
	struct dirent *entry;
	DIR *d;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/spool", owner);
	fd = fd_open_beneath(owners, path, O_RDONLY | O_DIRECTORY);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		(void)close_fd(fd); /* it has none */
		return;
	}
	while (budget-- > 0 && (entry = readdir(d)))
		if (key_of(entry->d_name, key) && !exec_table_by_key(t, key))
			(void)unlinkat(dirfd(d), entry->d_name, 0); /* next time, then */
	(void)closedir(d);
}

void exec_spools_sweep(struct exec_table *t, int state_fd)
{
	int fd = fd_open_beneath(state_fd, "owners", O_RDONLY | O_DIRECTORY);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!d) {
		(void)close_fd(fd);
		return;
	}
	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.')
			sweep_owner(t, dirfd(d), entry->d_name);
	(void)closedir(d);
}

/* ---- how much there is ---- */

void exec_spool_measure(struct exec *e)
{
	struct stat file;
	int fd;
	size_t i;

	for (i = 0; i < KEEPER_STREAM_MAX; i++) {
		fd = exec_open_spool(e, (enum keeper_spool_stream)i);
		if (fd >= 0 && fstat(fd, &file) == 0 &&
		    (uint64_t)file.st_size > e->facts.stream[i].end)
			e->facts.stream[i].end = (uint64_t)file.st_size;
		(void)close_fd(fd);
	}
}

void exec_spool_lost(struct exec *e)
{
	e->spool_finished = true;
	e->output_lost = true; /* what was still in the pipes; the files are what is left */
	exec_spool_measure(e);
}

/* The end only grows: whoever reads has been told of it. */
void exec_spool_note(struct exec *e, const struct keeper_stream_state *streams)
{
	struct keeper_stream_state *mine;
	size_t i;

	e->disk_full = false;
	for (i = 0; i < KEEPER_STREAM_MAX; i++) {
		if ((e->facts.streams & (1u << i)) == 0)
			continue;
		mine = &e->facts.stream[i];
		if (streams[i].end > mine->end) {
			mine->end = streams[i].end;
			e->facts.last_output_at_ms = time_realtime_ms();
		}
		if (streams[i].start > mine->start && streams[i].start <= mine->end)
			mine->start = streams[i].start;
		mine->eof = streams[i].eof != 0;
		mine->error = streams[i].error;
		if (mine->error == -ENOSPC || mine->error == -EDQUOT)
			e->disk_full = true;
	}
	exec_table_spooled(e->manager->execs, e);
}

void exec_on_spool_data(struct manager *m, const char *key,
			const struct keeper_stream_state streams[KEEPER_STREAM_MAX])
{
	static const struct timeval patience = { .tv_sec = DISK_FULL_MS / 1000 };
	struct exec *e = exec_table_by_key(m->execs, key);

	if (!e || e->facts.state == EXEC_STATE_ENDED)
		return;
	exec_spool_note(e, streams);
	if (!e->disk_full)
		(void)event_del(&e->events->disk);
	else if (!event_pending(&e->events->disk, EV_TIMEOUT, NULL))
		(void)event_add(&e->events->disk,
				&patience); /* else the client's timeout ends it */
	exec_tell(e, EXEC_TELL_OUTPUT);
}

static void on_opened(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	struct exec *e = userdata;

	(void)k;
	exec_spool_opened(e, error, m);
	(void)exec_unref(e);
}

/* A copy of what leads to its stdin, for the keeper to hold; -1: that is not needed. */
static int copy_stdin(const struct exec *e)
{
	if (!e->input || e->facts.tty || exec_stdin_is_closing(e->input))
		return -1;
	return exec_stdin_copy(e->input);
}

int exec_spool_open(struct exec *e, int terminal)
{
	struct keeper_client *k = sandbox_keeper(e->sandbox);
	struct spool_request request = { .exec = e->key,
					 .sandbox = sandbox_id(e->sandbox),
					 .streams = e->facts.streams,
					 .uid = e->uid,
					 .pty = terminal,
					 .keep_stdin = -1,
					 .masks = -1,
					 .max_bytes = e->facts.spool_max };
	int r;

	if (!k) {
		(void)close_fd(terminal);
		return -ECONNRESET;
	}
	if (e->masks >= 0)
		request.masks = fcntl(e->masks, F_DUPFD_CLOEXEC, 3);
	if (e->masks >= 0 && request.masks < 0) {
		r = -errno;
		(void)close_fd(terminal);
		return r;
	}
	request.keep_stdin = copy_stdin(e);
	r = keeper_client_spool_open(k, &request, on_opened, e);
	if (r < 0)
		return r;
	(void)exec_ref(e); /* on_opened() gives it back */
	e->spool_opened = true;
	return 0;
}

/* Others in the sandbox can read a file that E is lent. */
static int cover_others(struct exec *e)
{
	struct keeper_client *k = sandbox_keeper(e->sandbox);
	int masks, r;

	if (!k)
		return -ECONNRESET;
	masks = fcntl(e->masks, F_DUPFD_CLOEXEC, 3);
	if (masks < 0)
		return -errno;
	r = keeper_client_spool_mask(k, sandbox_id(e->sandbox), masks, e->facts.streams == 0,
				     on_opened, e);
	if (r == 0)
		(void)exec_ref(e); /* on_opened() gives it back */
	return r;
}

int exec_spool_prepare(struct exec *e)
{
	return exec_needs_pipes(e) ? exec_spool_open(e, -1) : cover_others(e);
}

void exec_hold(struct exec *e, const uint64_t offset[KEEPER_STREAM_MAX])
{
	static const uint64_t none[KEEPER_STREAM_MAX] = { KEEPER_HOLD_NONE, KEEPER_HOLD_NONE,
							  KEEPER_HOLD_NONE };
	struct keeper_client *k = sandbox_keeper(e->sandbox);

	/* a keeper that cannot be told is going, and the spool with it */
	if (k && e->spool_opened && !e->spool_finishing && !e->spool_finished)
		(void)keeper_client_spool_hold(k, e->key, offset ? offset : none);
}

static void on_finished(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	const struct keeper_spool_finish_reply *reply;
	struct exec *e = userdata;

	(void)k;
	e->spool_finished = true;
	if (error == 0 && m && m->size >= sizeof(*reply)) {
		reply = (const void *)m->data;
		exec_spool_note(e, reply->streams);
	} else {
		(void)log_errno(LOG_LEVEL_DEBUG, error, "exec %s: its spool was not finished",
				e->facts.id);
		exec_spool_lost(e);
	}
	exec_spool_closed(e);
	(void)exec_unref(e);
}

bool exec_spool_finish(struct exec *e, uint32_t wait_ms)
{
	struct keeper_client *k = sandbox_keeper(e->sandbox);

	if (!e->spool_opened || e->spool_finished)
		return false;
	if (e->spool_finishing)
		return true;
	if (!k || keeper_client_spool_finish(k, e->key, wait_ms, false, on_finished, e) < 0) {
		exec_spool_lost(e);
		return false;
	}
	(void)exec_ref(e); /* on_finished() gives it back */
	e->spool_finishing = true;
	return true;
}
