-- Version 6. Whether a sandbox was a spare before; settings of pools that pool.set gave, -1: they never get too old.
ALTER TABLE sandboxes ADD COLUMN launch_type TEXT NOT NULL DEFAULT 'cold';

CREATE TABLE pools (
	owner INTEGER NOT NULL,
	template TEXT NOT NULL,
	min INTEGER NOT NULL,
	max INTEGER NOT NULL,
	max_age_ms INTEGER NOT NULL,
	PRIMARY KEY (owner, template)
) STRICT;
