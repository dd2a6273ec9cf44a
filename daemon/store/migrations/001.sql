-- Version 1. Every table is STRICT: what is read back has the type that was written.
CREATE TABLE meta (
	key TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- seq orders by creation; blobs are NUL-terminated texts one after the other.
CREATE TABLE sandboxes (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	id TEXT NOT NULL UNIQUE,
	name TEXT NOT NULL,
	peer INTEGER NOT NULL,
	owner INTEGER NOT NULL,
	tool TEXT,
	template TEXT NOT NULL,
	layers BLOB NOT NULL,
	network INTEGER NOT NULL,
	memory_bytes INTEGER NOT NULL,
	shm_bytes INTEGER NOT NULL,
	cpu_milli INTEGER NOT NULL,
	pids INTEGER NOT NULL,
	workspaces BLOB NOT NULL,
	env BLOB NOT NULL,
	labels BLOB NOT NULL,
	state TEXT NOT NULL,
	cause TEXT,
	hidden INTEGER NOT NULL,
	foreign_user INTEGER NOT NULL,
	created_at_ms INTEGER NOT NULL,
	UNIQUE (peer, name)
) STRICT;

CREATE TABLE execs (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	id TEXT NOT NULL UNIQUE,
	sandbox TEXT NOT NULL,
	peer INTEGER NOT NULL,
	idempotency_key TEXT,
	digest BLOB,
	command BLOB NOT NULL,
	stage TEXT,
	story_id TEXT,
	state INTEGER NOT NULL,
	detached INTEGER NOT NULL,
	streams INTEGER NOT NULL,
	stdout_end INTEGER NOT NULL,
	stderr_end INTEGER NOT NULL,
	output_end INTEGER NOT NULL,
	stdout_start INTEGER NOT NULL,
	stderr_start INTEGER NOT NULL,
	output_start INTEGER NOT NULL,
	created_at_ms INTEGER NOT NULL,
	exit_code INTEGER NOT NULL,
	signal INTEGER NOT NULL,
	cause INTEGER NOT NULL,
	start_error INTEGER NOT NULL,
	start_errno INTEGER NOT NULL,
	truncated INTEGER NOT NULL,
	started_at_ms INTEGER NOT NULL,
	completed_at_ms INTEGER NOT NULL,
	duration_ms INTEGER NOT NULL,
	cpu_ms INTEGER NOT NULL,
	peak_memory_bytes INTEGER NOT NULL,
	leftovers INTEGER NOT NULL,
	oom_kills INTEGER NOT NULL,
	UNIQUE (peer, sandbox, idempotency_key)
) STRICT;
CREATE INDEX execs_sandbox ON execs (sandbox);

CREATE TABLE templates (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL,
	owner INTEGER NOT NULL,
	peer INTEGER NOT NULL,
	digest TEXT,
	base TEXT,
	tool TEXT,
	version TEXT,
	layer TEXT,
	size_bytes INTEGER NOT NULL,
	created_at_ms INTEGER NOT NULL,
	state TEXT NOT NULL,
	UNIQUE (owner, name)
) STRICT;
