-- Version 4. The layers below a template's own, topmost first, each with its NUL.
ALTER TABLE templates ADD COLUMN lowers BLOB;
