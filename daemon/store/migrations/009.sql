-- Version 9. What is kept of a loop beside its row, by kind (enum store_kept); goes with the row.
CREATE TABLE loop_kept (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	peer INTEGER NOT NULL,
	loop_id TEXT NOT NULL,
	kind INTEGER NOT NULL,
	data BLOB NOT NULL,
	UNIQUE (peer, loop_id, kind)
) STRICT;
