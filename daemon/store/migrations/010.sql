-- Version 10. What happened, for events.subscribe. peer -1: for everybody. A floor is the last event
-- of a peer that was deleted: whoever asks from before it has missed something.
CREATE TABLE events (
	seq INTEGER PRIMARY KEY,
	at_ms INTEGER NOT NULL,
	peer INTEGER NOT NULL,
	type TEXT NOT NULL,
	loop_id TEXT,
	sandbox TEXT,
	sandbox_id TEXT,
	exec_id TEXT,
	tool TEXT,
	state TEXT,
	labels BLOB NOT NULL,
	facts BLOB NOT NULL
) STRICT;
CREATE INDEX events_peer ON events (peer, seq);
CREATE TABLE event_floors (
	peer INTEGER PRIMARY KEY,
	seq INTEGER NOT NULL
) STRICT;
