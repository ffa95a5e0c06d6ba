"""The tables of `lessons.sqlite`, one script for each version of the file, and the error of what uses it."""

MIGRATIONS = (
    """
    CREATE TABLE learners (
        learner TEXT PRIMARY KEY,
        nickname TEXT NOT NULL DEFAULT '',
        code TEXT NOT NULL UNIQUE,
        sheet TEXT NOT NULL DEFAULT '',
        step TEXT NOT NULL DEFAULT '',
        folded INTEGER NOT NULL DEFAULT 0,
        class TEXT NOT NULL DEFAULT '',
        moved REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX learners_by_class ON learners (class);
    CREATE TABLE devices (person TEXT PRIMARY KEY, learner TEXT NOT NULL REFERENCES learners ON DELETE CASCADE);
    CREATE TABLE answers (
        learner TEXT NOT NULL REFERENCES learners ON DELETE CASCADE,
        sheet TEXT NOT NULL,
        step TEXT NOT NULL,
        round INTEGER NOT NULL,
        content TEXT NOT NULL,
        submitted REAL NOT NULL,
        PRIMARY KEY (learner, sheet, step, round)
    ) WITHOUT ROWID;
    CREATE INDEX answers_by_step ON answers (sheet, step, round);
    CREATE TABLE classes (
        code TEXT PRIMARY KEY,
        sheet TEXT NOT NULL,
        step TEXT NOT NULL DEFAULT '',
        frozen INTEGER NOT NULL DEFAULT 0,
        follow INTEGER NOT NULL DEFAULT 0,
        started REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE votes (
        class TEXT NOT NULL REFERENCES classes ON DELETE CASCADE,
        step TEXT NOT NULL,
        round INTEGER NOT NULL DEFAULT 0,
        revealed INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (class, step)
    ) WITHOUT ROWID;
    CREATE TABLE wrong_codes (tried REAL NOT NULL);
    """,
    """
    ALTER TABLE learners ADD COLUMN address TEXT NOT NULL DEFAULT '';
    ALTER TABLE learners ADD COLUMN created REAL NOT NULL DEFAULT 0;
    CREATE INDEX learners_by_address ON learners (address, created);
    """,
)


class LessonError(RuntimeError):
    """The file of answers cannot be used, or refuses an action. The message is one sentence with the remedy."""
