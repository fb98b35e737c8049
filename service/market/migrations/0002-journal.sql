-- One row per entry of the journal, in its order: what happened, to whom, and what it did to the account.
-- Amounts are minor units; what has no column of its own is in `body` as JSON.
CREATE TABLE journal (
    epoch           BIGINT UNSIGNED NOT NULL,
    journal_ms      BIGINT UNSIGNED NOT NULL,
    journal_seq     BIGINT UNSIGNED NOT NULL,
    kind            VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user            VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    idempotency_key VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    game            VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    pool            VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    option_index    TINYINT UNSIGNED NULL,
    stake           BIGINT NULL,
    amount          BIGINT NULL,
    balance         BIGINT NULL,
    body            MEDIUMTEXT CHARACTER SET utf8mb4 NULL,
    PRIMARY KEY (epoch, journal_ms, journal_seq),
    KEY journal_user (user, epoch, journal_ms, journal_seq),
    KEY journal_pool (pool, user, epoch, journal_ms, journal_seq)
) ENGINE = InnoDB
