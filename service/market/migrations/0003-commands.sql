-- What was asked of the API and is not in `journal` itself: reads, refusals, failures. They come in batches:
-- `part` counts those of one entry of the journal. `code` is 0 or the number of the error; times are ms.
CREATE TABLE commands (
    epoch       BIGINT UNSIGNED NOT NULL,
    journal_ms  BIGINT UNSIGNED NOT NULL,
    journal_seq BIGINT UNSIGNED NOT NULL,
    part        SMALLINT UNSIGNED NOT NULL,
    user        VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    type        VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    code        SMALLINT UNSIGNED NOT NULL,
    at_ms       BIGINT UNSIGNED NOT NULL,
    took_ms     INT UNSIGNED NOT NULL,
    PRIMARY KEY (epoch, journal_ms, journal_seq, part),
    KEY commands_user (user, epoch, journal_ms, journal_seq, part)
) ENGINE = InnoDB
