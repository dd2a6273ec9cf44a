-- Version 11. Idempotency keys: what was asked under one (never env, stdin, files or secrets: their digest), and
-- what came of it. exec: the row of its command; state 0: begun, 1: done.
CREATE TABLE keys (
	peer INTEGER NOT NULL,
	key TEXT NOT NULL,
	method INTEGER NOT NULL,
	digest TEXT NOT NULL,
	subject TEXT NOT NULL,
	exec TEXT,
	base_sha TEXT,
	state INTEGER NOT NULL,
	result TEXT,
	created_at_ms INTEGER NOT NULL,
	PRIMARY KEY (peer, key)
) STRICT;
CREATE INDEX keys_of_execs ON keys (exec) WHERE exec IS NOT NULL;
-- Whether one of them is a command's; what version 1 had for that is not used.
ALTER TABLE execs ADD COLUMN keyed INTEGER NOT NULL DEFAULT 0;
