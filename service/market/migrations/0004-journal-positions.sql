-- How far SQL has the journal: every row before the highest of these places is there. Rows are only added, so
-- that the ledger needs no right to change anything; a replica's highest place says how far the replica is.
CREATE TABLE journal_positions (
    epoch       BIGINT UNSIGNED NOT NULL,
    journal_ms  BIGINT UNSIGNED NOT NULL,
    journal_seq BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (epoch, journal_ms, journal_seq)
) ENGINE = InnoDB
