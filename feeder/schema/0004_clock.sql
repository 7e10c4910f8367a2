-- What the computer's clock was worth. A Raspberry Pi boots with the time of its last shutdown,
-- and is right once the network has told it the time.

-- A stretch of one boot in which nobody set the clock: Unix time = seconds since boot + offset.
-- began, seen, drained and ended are seconds since that boot.
CREATE TABLE clock_epoch (
    clock_epoch_id   INTEGER PRIMARY KEY,
    boot_id          TEXT NOT NULL,
    clock_offset     REAL NOT NULL,
    began            REAL NOT NULL,  -- at the earliest
    seen             REAL NOT NULL,  -- in force then, when last looked at
    drained          REAL NOT NULL,  -- files written before are all in the log
    ended            REAL,           -- at the latest; NULL: it goes on, or nobody saw its end
    known_by         TEXT CHECK (known_by IN ('network', 'battery', 'assumed'))
) STRICT;

CREATE INDEX clock_epoch_boot ON clock_epoch (boot_id);

ALTER TABLE media ADD COLUMN timestamp_trusted INTEGER NOT NULL DEFAULT 1
    CHECK (timestamp_trusted IN (0, 1));
-- As first written, where the timestamp was corrected later.
ALTER TABLE media ADD COLUMN timestamp_recorded TEXT;
-- The epoch whose clock gave the timestamp, while later knowledge may better it.
ALTER TABLE media ADD COLUMN clock_epoch_id INTEGER REFERENCES clock_epoch;

CREATE INDEX media_clock_epoch ON media (clock_epoch_id) WHERE clock_epoch_id IS NOT NULL;

DROP VIEW sighting;
DROP VIEW verdict;

CREATE VIEW verdict AS
SELECT
    o.observation_type, o.observation_id, m.media_id, m.timestamp, m.timestamp_source,
    m.timestamp_trusted, m.timestamp_recorded, m.favorite,
    d.location_name AS deployment, d.timezone,
    o.label, o.scientific_name, o.ebird_code, o.kind,
    o.classification_probability, o.bird_probability, o.margin, o.cosine, o.reason,
    o.runners_up, o.bbox_x, o.bbox_y, o.bbox_width, o.bbox_height,
    o.classification_method, o.classified_by, o.classification_timestamp,
    m.file_name, m.width, m.height, hex(m.sha256) AS sha256,
    model.digest AS model_digest, vocabulary.digest AS vocabulary_digest
-- CROSS keeps this order: the newest few are read off the index on media, not sorted out of all.
FROM media AS m
CROSS JOIN current_observation AS o USING (media_id)
JOIN deployment AS d USING (deployment_id)
LEFT JOIN model USING (model_id)
LEFT JOIN vocabulary USING (vocabulary_id);

CREATE VIEW sighting AS
SELECT * FROM verdict WHERE observation_type = 'animal';
