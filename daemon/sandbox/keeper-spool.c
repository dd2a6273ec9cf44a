/* SPDX-License-Identifier: Apache-2.0 */
/* The exec side's requests to a keeper, and reading what it spooled. Files are found beneath the
 * owner's directory without following links: everything there is the owner's to change. */

#include <stddef.h>
#include <string.h>

#include "sandbox/keeper-internal.h"
#include "util/log.h"
#include "util/strings.h"

static uint32_t keeper_id_of(const struct keeper_client *k, uid_t uid)
{
	if (k->owner.map == KEEPER_MAP_SINGLE || uid == SANDBOX_ID_AGENT)
		return KEEPER_ID_AGENT;
	return uid < SANDBOX_ID_AGENT ? uid + KEEPER_ID_ROOT : uid;
}

int keeper_client_spool_open(struct keeper_client *k, const struct spool_request *request,
			     keeper_reply *done, void *userdata)
{
	struct wire_message *m = keeper_scratch(k->manager);
	struct keeper_spool_open *open_request = (void *)m->data;
	int r;

	wire_begin(m, KEEPER_WIRE_VERSION, KEEPER_SPOOL_OPEN, 0, sizeof(*open_request));
	open_request->streams = request->streams;
	open_request->uid = keeper_id_of(k, request->uid);
	open_request->max_bytes = request->max_bytes;
	open_request->pty = request->pty >= 0;
	open_request->keep_stdin = request->keep_stdin >= 0;
	open_request->has_masks = request->masks >= 0;
	r = request->pty >= 0 ? wire_add_fd(m, request->pty) : 0;
	if (r >= 0 && request->keep_stdin >= 0)
		r = wire_add_fd(m, request->keep_stdin);
	if (r >= 0 && request->masks >= 0)
		r = wire_add_fd(m, request->masks);
	if (r >= 0)
		r = wire_add_string(m, offsetof(struct keeper_spool_open, exec), request->exec);
	if (r >= 0)
		r = wire_add_string(m, offsetof(struct keeper_spool_open, sandbox),
				    request->sandbox);
	if (r < 0) {
		wire_message_done(m);
		return r;
	}
	return keeper_client_call(k, m, done, userdata);
}

int keeper_client_spool_finish(struct keeper_client *k, const char *exec, uint32_t wait_ms,
			       bool remove, keeper_reply *done, void *userdata)
{
	struct wire_message *m = keeper_scratch(k->manager);
	struct keeper_spool_finish *finish = (void *)m->data;
	int r;

	wire_begin(m, KEEPER_WIRE_VERSION, KEEPER_SPOOL_FINISH, 0, sizeof(*finish));
	finish->wait_ms = wait_ms;
	finish->remove = remove;
	r = wire_add_string(m, offsetof(struct keeper_spool_finish, exec), exec);
	return r < 0 ? r : keeper_client_call(k, m, done, userdata);
}

static void on_spool_held(struct keeper_client *k, int error, struct wire_message *m,
			  void *userdata)
{
	(void)k;
	(void)error; /* -ENOENT: it is finished, nothing is punched any more */
	(void)m;
	(void)userdata;
}

int keeper_client_spool_hold(struct keeper_client *k, const char *exec,
			     const uint64_t offset[KEEPER_STREAM_MAX])
{
	struct wire_message *m = keeper_scratch(k->manager);
	struct keeper_spool_hold *hold = (void *)m->data;
	int r;

	wire_begin(m, KEEPER_WIRE_VERSION, KEEPER_SPOOL_HOLD, 0, sizeof(*hold));
	memcpy(hold->offset, offset, sizeof(hold->offset));
	r = wire_add_string(m, offsetof(struct keeper_spool_hold, exec), exec);
	return r < 0 ? r : keeper_client_call(k, m, on_spool_held, NULL);
}

static void on_spool_removed(struct keeper_client *k, int error, struct wire_message *m,
			     void *userdata)
{
	(void)m;
	(void)userdata;
	if (error < 0 && error != -ENOENT && error != -ECONNRESET && log_ratelimit())
		log_errno(LOG_LEVEL_WARNING, error, "a spool of uid %u stays behind",
			  (unsigned)k->owner.uid);
}

static int call_ref(struct keeper_client *k, uint16_t type, const char *exec, keeper_reply *done,
		    void *userdata)
{
	struct wire_message *m = keeper_scratch(k->manager);
	int r;

	wire_begin(m, KEEPER_WIRE_VERSION, type, 0, sizeof(struct keeper_spool_ref));
	r = wire_add_string(m, offsetof(struct keeper_spool_ref, exec), exec);
	return r < 0 ? r : keeper_client_call(k, m, done, userdata);
}

int keeper_client_spool_remove(struct keeper_client *k, const char *exec)
{
	return call_ref(k, KEEPER_SPOOL_REMOVE, exec, on_spool_removed, NULL);
}

int keeper_client_spool_adopt(struct keeper_client *k, const char *exec, keeper_reply *done,
			      void *userdata)
{
	return call_ref(k, KEEPER_SPOOL_ADOPT, exec, done, userdata);
}

int keeper_client_spool_drop_stdin(struct keeper_client *k, const char *exec)
{
	return call_ref(k, KEEPER_SPOOL_DROP_STDIN, exec, on_spool_held, NULL);
}

int keeper_client_spool_mask(struct keeper_client *k, const char *sandbox, int masks, bool stays,
			     keeper_reply *done, void *userdata)
{
	struct wire_message *m = keeper_scratch(k->manager);
	struct keeper_spool_mask *request = (void *)m->data;
	int r;

	wire_begin(m, KEEPER_WIRE_VERSION, KEEPER_SPOOL_MASK, 0, sizeof(*request));
	request->stays = stays;
	(void)wire_add_fd(m, masks); /* the first one fits */
	r = wire_add_string(m, offsetof(struct keeper_spool_mask, sandbox), sandbox);
	if (r < 0) {
		wire_message_done(m);
		return r;
	}
	return keeper_client_call(k, m, done, userdata);
}
