-- Version 7. limits.diskBytes of sandboxes and loops; 0: none.
ALTER TABLE sandboxes ADD COLUMN disk_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE loops ADD COLUMN disk_bytes INTEGER NOT NULL DEFAULT 0;
