-- Tables and columns carry Camtrap DP's names in snake_case: https://camtrap-dp.tdwg.org
-- Every time is UTC text, 2026-05-01T06:30:00.250Z, so that text order is time order.

CREATE TABLE deployment (
    deployment_id    INTEGER PRIMARY KEY,
    location_name    TEXT NOT NULL UNIQUE,
    latitude         REAL,
    longitude        REAL,
    timezone         TEXT,          -- IANA name; NULL is the computer's own
    deployment_start TEXT NOT NULL  -- when the first frame was logged
) STRICT;

-- One row a frame: the same bytes at the same camera are the same frame, wherever they lie.
CREATE TABLE media (
    media_id         INTEGER PRIMARY KEY,
    deployment_id    INTEGER NOT NULL REFERENCES deployment,
    sha256           BLOB CHECK (length(sha256) = 32),  -- NULL: too large to be read
    timestamp        TEXT NOT NULL,
    timestamp_source TEXT NOT NULL CHECK (timestamp_source IN ('exif+offset', 'exif', 'mtime')),
    file_path        BLOB NOT NULL,  -- below the deployment's folder, as the system names it
    file_name        TEXT NOT NULL,  -- the same for people, unprintable bytes escaped
    file_mediatype   TEXT NOT NULL,
    file_size        INTEGER NOT NULL,
    width            INTEGER,
    height           INTEGER,
    received_at      TEXT NOT NULL,
    UNIQUE (deployment_id, sha256)
) STRICT;

CREATE INDEX media_timestamp ON media (timestamp);

-- The ledger: which files are done. A file written again has another mtime and so another row.
CREATE TABLE path (
    deployment_id    INTEGER NOT NULL REFERENCES deployment,
    file_path        BLOB NOT NULL,
    file_size        INTEGER NOT NULL,
    mtime_ns         INTEGER NOT NULL,
    media_id         INTEGER NOT NULL REFERENCES media,
    PRIMARY KEY (deployment_id, file_path, file_size, mtime_ns)
) STRICT, WITHOUT ROWID;

CREATE TABLE model (
    model_id         INTEGER PRIMARY KEY,
    digest           TEXT NOT NULL UNIQUE,
    name             TEXT NOT NULL
) STRICT;

CREATE TABLE vocabulary (
    vocabulary_id    INTEGER PRIMARY KEY,
    digest           TEXT NOT NULL UNIQUE,
    labels           TEXT NOT NULL CHECK (json_valid(labels))
) STRICT;

-- Append-only: a correction is one more row, and current_observation picks the one that counts.
CREATE TABLE observation (
    observation_id             INTEGER PRIMARY KEY,
    media_id                   INTEGER NOT NULL REFERENCES media,
    observation_level          TEXT NOT NULL DEFAULT 'media' CHECK (observation_level = 'media'),
    observation_type           TEXT NOT NULL CHECK (observation_type IN
                                   ('animal', 'human', 'blank', 'unknown', 'unclassified')),
    label                      TEXT,  -- what the verdict names; the best label where it declines
    scientific_name            TEXT,
    ebird_code                 TEXT,
    kind                       TEXT CHECK (kind IN ('bird', 'mammal', 'human', 'blank')),
    classification_method      TEXT NOT NULL CHECK (classification_method IN ('machine', 'human')),
    classified_by              TEXT NOT NULL,
    classification_timestamp   TEXT NOT NULL,
    classification_probability REAL,
    bird_probability           REAL,
    margin                     REAL,  -- best minus second probability
    cosine                     REAL,  -- of the embedding and the best label
    reason                     TEXT NOT NULL,
    runners_up                 TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(runners_up)),
    model_id                   INTEGER REFERENCES model,
    vocabulary_id              INTEGER REFERENCES vocabulary
) STRICT;

-- A restart never doubles: one verdict a frame, model and vocabulary, and one "unclassified".
CREATE UNIQUE INDEX observation_once ON observation
    (media_id, coalesce(model_id, 0), coalesce(vocabulary_id, 0))
    WHERE classification_method = 'machine';

CREATE TABLE embedding (
    media_id         INTEGER NOT NULL REFERENCES media,
    model_id         INTEGER NOT NULL REFERENCES model,
    vector           BLOB NOT NULL,  -- little-endian float16, a unit vector
    PRIMARY KEY (media_id, model_id)
) STRICT;

-- A person over a machine, then the newest.
CREATE VIEW current_observation AS
SELECT o.*
FROM observation AS o
WHERE o.observation_id = (
    SELECT i.observation_id FROM observation AS i
    WHERE i.media_id = o.media_id
    ORDER BY i.classification_method = 'human' DESC, i.observation_id DESC
    LIMIT 1
);

CREATE INDEX observation_media ON observation (media_id, classification_method);

-- Every frame with the observation that counts.
CREATE VIEW verdict AS
SELECT
    o.observation_type, o.observation_id, m.media_id, m.timestamp, m.timestamp_source,
    d.location_name AS deployment, d.timezone,
    o.label, o.scientific_name, o.ebird_code, o.kind,
    o.classification_probability, o.bird_probability, o.margin, o.cosine, o.reason,
    o.runners_up, o.classification_method, o.classified_by, o.classification_timestamp,
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
