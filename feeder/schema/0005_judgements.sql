-- A history that can be judged again: what belongs together comes into force and is undone as one.

CREATE TABLE judgement (
    judgement_id     INTEGER PRIMARY KEY,
    what             TEXT NOT NULL CHECK (what IN ('relabel', 'model', 'correction')),
    -- Rows are written a few at a time, so that the daemon gets its turn, and count from the end.
    state            TEXT NOT NULL DEFAULT 'preparing'
                     CHECK (state IN ('preparing', 'in force', 'undone')),
    made_by          TEXT NOT NULL,
    made_at          TEXT NOT NULL,
    description      TEXT NOT NULL,  -- in words, for a list of judgements
    settings         TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(settings)),
    frames           INTEGER,        -- looked at; those whose verdict stayed have no new row
    model_id         INTEGER REFERENCES model,
    vocabulary_id    INTEGER REFERENCES vocabulary
) STRICT;

ALTER TABLE observation ADD COLUMN judgement_id INTEGER REFERENCES judgement;

DROP INDEX observation_once;

CREATE UNIQUE INDEX observation_once ON observation
    (media_id, coalesce(model_id, 0), coalesce(vocabulary_id, 0), coalesce(judgement_id, 0))
    WHERE classification_method = 'machine';

CREATE INDEX observation_judgement ON observation (judgement_id) WHERE judgement_id IS NOT NULL;

CREATE INDEX observation_human ON observation (media_id) WHERE classification_method = 'human';

-- Where one species is asked for: new ones wait for a person.
CREATE INDEX observation_label ON observation (label, media_id)
    WHERE observation_type = 'animal';

-- What each camera's log had before people were asked about new species. It counts as known, so
-- that years of sightings do not all wait at once.
CREATE TABLE known_species (
    deployment_id    INTEGER NOT NULL REFERENCES deployment,
    label            TEXT NOT NULL,
    PRIMARY KEY (deployment_id, label)
) STRICT, WITHOUT ROWID;

INSERT INTO known_species
SELECT DISTINCT m.deployment_id, o.label
FROM observation AS o JOIN media AS m USING (media_id)
WHERE o.observation_type = 'animal' AND o.label IS NOT NULL;

-- What a side vocabulary says of a frame, such as "behaviour: bathing".
CREATE TABLE tag (
    tag_id           INTEGER PRIMARY KEY,
    media_id         INTEGER NOT NULL REFERENCES media,
    model_id         INTEGER NOT NULL REFERENCES model,
    vocabulary_id    INTEGER NOT NULL REFERENCES vocabulary,  -- the side vocabulary
    attribute        TEXT NOT NULL,
    value            TEXT NOT NULL,
    probability      REAL NOT NULL,
    UNIQUE (media_id, attribute, model_id, vocabulary_id)
) STRICT;

-- How far the history had been asked for its tags again when that was broken off.
CREATE TABLE tag_progress (
    model_id         INTEGER PRIMARY KEY REFERENCES model,
    digest           TEXT NOT NULL,     -- of all side vocabularies together
    done             INTEGER NOT NULL   -- embeddings of that model, in the order of their rows
) STRICT;

DROP VIEW sighting;
DROP VIEW verdict;
DROP VIEW current_observation;

-- A person over a machine, then the newest, of those that nobody has undone.
CREATE VIEW current_observation AS
SELECT o.*
FROM observation AS o
WHERE o.observation_id = (
    SELECT i.observation_id
    FROM observation AS i LEFT JOIN judgement AS j USING (judgement_id)
    WHERE i.media_id = o.media_id AND coalesce(j.state, 'in force') = 'in force'
    ORDER BY i.classification_method = 'human' DESC, i.observation_id DESC
    LIMIT 1
);

CREATE VIEW verdict AS
SELECT
    o.observation_type, o.observation_id, m.media_id, m.timestamp, m.timestamp_source,
    m.timestamp_trusted, m.timestamp_recorded, m.favorite,
    d.location_name AS deployment, d.timezone,
    o.label, o.scientific_name, o.ebird_code, o.kind,
    o.classification_probability, o.bird_probability, o.margin, o.cosine, o.reason,
    o.runners_up, o.bbox_x, o.bbox_y, o.bbox_width, o.bbox_height,
    o.classification_method, o.classified_by, o.classification_timestamp, o.judgement_id,
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
