-- Version 2. What set a sandbox up, which loop owns it, and when it ends by itself (-1: never).
ALTER TABLE sandboxes ADD COLUMN runtime TEXT NOT NULL DEFAULT 'crun';
ALTER TABLE sandboxes ADD COLUMN loop_id TEXT;
ALTER TABLE sandboxes ADD COLUMN ttl_ms INTEGER NOT NULL DEFAULT -1;
ALTER TABLE sandboxes ADD COLUMN idle_timeout_ms INTEGER NOT NULL DEFAULT -1;
ALTER TABLE sandboxes ADD COLUMN remove_on_stop INTEGER NOT NULL DEFAULT 0;
