-- The part of the frame that the verdict is on, as shares of its width and height; NULL for all.
ALTER TABLE observation ADD COLUMN bbox_x REAL;
ALTER TABLE observation ADD COLUMN bbox_y REAL;
ALTER TABLE observation ADD COLUMN bbox_width REAL;
ALTER TABLE observation ADD COLUMN bbox_height REAL;

DROP VIEW sighting;
DROP VIEW verdict;

CREATE VIEW verdict AS
SELECT
    o.observation_type, o.observation_id, m.media_id, m.timestamp, m.timestamp_source,
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
