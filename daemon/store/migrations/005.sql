-- Version 5. Profiles of a loop's stages, as stages_pack() writes them; empty: none were given.
ALTER TABLE loops ADD COLUMN stages BLOB;
