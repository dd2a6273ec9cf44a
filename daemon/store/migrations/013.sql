-- Version 13. Leases that their command has as a file: where it is, below the agent's home. One
-- tree instead of two: each lease is a write before its value is handed over.
ALTER TABLE leases RENAME TO leases_12;
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
	file TEXT,
	remote_id TEXT,
	ttl_ms INTEGER NOT NULL,
	renew INTEGER NOT NULL,
	created_at_ms INTEGER NOT NULL,
	expires_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO leases SELECT id, owner, secret, holder, holder_peer, holder_id, loop_id, sandbox, stage,
	NULL, remote_id, ttl_ms, renew, created_at_ms, expires_at_ms FROM leases_12;
DROP TABLE leases_12;
