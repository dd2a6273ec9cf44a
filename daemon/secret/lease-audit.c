/* SPDX-License-Identifier: Apache-2.0 */
/* What the audit log hears of leases. That one begins or goes on is written down before it does;
 * that one could not be had, or has ended, is as it is, written down or not. */

#include "secret/audit.h"
#include "secret/lease-internal.h"
#include "util/log.h"

static const char *or_null(const char *text)
{
	return text && text[0] ? text : NULL;
}

static int write_entry(struct manager *m, const struct lease *l, const char *action,
		       const char *result, pid_t pid, struct error *reterr)
{
	const struct lease_facts *f = &l->facts;
	struct provider_call call;
	const struct provider *p = provider_of(m, f->owner, f->secret, &call, NULL);
	const struct audit_entry e = {
		.action = action,
		.result = result,
		.uid = f->owner,
		.pid = pid,
		.secret = f->secret,
		.lease = f->id,
		.provider = p ? p->name : NULL,
		.loop_id = f->holder == LEASE_HOLDER_LOOP ? f->holder_id : or_null(l->loop_id),
		.sandbox = or_null(l->sandbox), /* by name, as for a command */
		.exec_id = f->holder == LEASE_HOLDER_EXEC ? f->holder_id : NULL,
		.stage = or_null(l->stage),
	};

	return audit_write(m, &e, reterr);
}

int lease_audit(struct manager *m, const struct lease *l, const char *action, pid_t pid,
		struct error *reterr)
{
	return write_entry(m, l, action, "ok", pid, reterr);
}

/* What is no secret's name may be a secret: whoever mixes the two up finds neither in the log. */
void lease_audit_failure(struct manager *m, const struct lease *l, const struct error *e)
{
	if (e->kind == ERROR_INVALID_PARAMS || e->kind == ERROR_NOT_FOUND)
		return;
	(void)write_entry(m, l, "lease", error_kind_name(e->kind), l->pid, NULL);
}

void lease_audit_end(struct manager *m, const struct lease *l, enum lease_end why)
{
	static const char *const actions[] = {
		[LEASE_END_RELEASED] = "release",
		[LEASE_END_EXPIRED] = "expire",
		[LEASE_END_REVOKED] = "revoke",
	};
	CLEANUP_ERROR struct error e = { 0 };

	if (lease_audit(m, l, actions[why], 0, &e) < 0 && log_ratelimit())
		log_warning("the end of lease %s is not in the audit log: %s", l->facts.id,
			    e.message ? e.message : "no memory");
}
