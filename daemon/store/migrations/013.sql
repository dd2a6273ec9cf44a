-- Version 13. Leases that their command has as a file: where it is, below the agent's home.
ALTER TABLE leases ADD COLUMN file TEXT;
