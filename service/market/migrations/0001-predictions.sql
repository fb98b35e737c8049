-- One row per prediction, in the order of the journal; amounts are minor units.
CREATE TABLE predictions (
    epoch           BIGINT UNSIGNED NOT NULL,
    journal_ms      BIGINT UNSIGNED NOT NULL,
    journal_seq     BIGINT UNSIGNED NOT NULL,
    user            VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    idempotency_key VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    game            VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    pool            VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    option_index    TINYINT UNSIGNED NOT NULL,
    stake           BIGINT NOT NULL CHECK (stake > 0),
    PRIMARY KEY (epoch, journal_ms, journal_seq),
    UNIQUE KEY predictions_key (user, idempotency_key)
) ENGINE = InnoDB
