-- Version 12. Leases of secrets: who has which one until when, never its value. holder_peer and
-- holder_id: what it ends with; loop_id, sandbox and stage say for whom it is.
CREATE TABLE leases (
	id TEXT PRIMARY KEY,
	owner INTEGER NOT NULL,
	secret TEXT NOT NULL,
	holder TEXT NOT NULL,
	holder_peer INTEGER NOT NULL,
	holder_id TEXT NOT NULL,
	loop_id TEXT,
	sandbox TEXT,
	stage TEXT,
	remote_id TEXT,
	ttl_ms INTEGER NOT NULL,
	renew INTEGER NOT NULL,
	created_at_ms INTEGER NOT NULL,
	expires_at_ms INTEGER NOT NULL
) STRICT;
