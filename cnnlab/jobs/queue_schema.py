"""The tables of `jobs.sqlite`, one script for each version of the file, and the error of what uses it."""

MIGRATIONS = (
    """
    CREATE TABLE jobs (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL,
        experiment TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
        reason TEXT,
        submitted REAL NOT NULL,
        started REAL,
        finished REAL,
        attempts INTEGER NOT NULL DEFAULT 0,
        crashes INTEGER NOT NULL DEFAULT 0
    );
    CREATE UNIQUE INDEX single_flight ON jobs (key) WHERE state IN ('queued', 'running');
    CREATE INDEX jobs_by_key ON jobs (key);
    CREATE TABLE requests (
        job INTEGER NOT NULL REFERENCES jobs (id),
        person TEXT NOT NULL,
        submitted REAL NOT NULL,
        withdrawn REAL,
        PRIMARY KEY (job, person)
    ) WITHOUT ROWID;
    CREATE INDEX requests_by_person ON requests (person);
    CREATE TABLE people (person TEXT PRIMARY KEY, round INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO counters VALUES ('stamp', 0), ('round', 0);
    """,
    """
    ALTER TABLE jobs ADD COLUMN worked REAL NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN alone INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN device TEXT NOT NULL DEFAULT '';
    CREATE INDEX requests_by_time ON requests (person, submitted);
    INSERT INTO counters VALUES ('closed', 0), ('slots', 1);
    """,
    """
    ALTER TABLE jobs ADD COLUMN cost REAL NOT NULL DEFAULT 0;
    ALTER TABLE requests ADD COLUMN address TEXT NOT NULL DEFAULT '';
    CREATE INDEX requests_by_address ON requests (address, submitted);
    CREATE TABLE class_members (person TEXT PRIMARY KEY, code TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE wrong_keys (kind TEXT NOT NULL, tried REAL NOT NULL);
    """,
    """
    CREATE TABLE nicknames (person TEXT PRIMARY KEY, nickname TEXT NOT NULL) WITHOUT ROWID;
    """,
    """
    CREATE TABLE teachers (person TEXT PRIMARY KEY, key TEXT NOT NULL, typed REAL NOT NULL) WITHOUT ROWID;
    """,
    """
    CREATE TABLE imports (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        person TEXT NOT NULL,
        address TEXT NOT NULL,
        started REAL NOT NULL,
        bytes INTEGER NOT NULL,
        name TEXT NOT NULL DEFAULT ''
    );
    """,
    """
    ALTER TABLE nicknames ADD COLUMN address TEXT NOT NULL DEFAULT '';
    CREATE INDEX nicknames_by_address ON nicknames (address);
    """,
    """
    ALTER TABLE class_members ADD COLUMN address TEXT NOT NULL DEFAULT '';
    CREATE INDEX members_by_code ON class_members (code, address);
    """,
)


class QueueError(RuntimeError):
    """The queue's file cannot be used. The message is one sentence with the remedy."""
