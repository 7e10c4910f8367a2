-- Where a frame's picture lies now. Its row, observations and embedding stay when it goes.
ALTER TABLE media ADD COLUMN favorite INTEGER NOT NULL DEFAULT 0 CHECK (favorite IN (0, 1));
ALTER TABLE media ADD COLUMN archive_path BLOB;  -- below the archive; written before the move
ALTER TABLE media ADD COLUMN gone_since TEXT;    -- when it was deleted, or found to be

-- The pictures there still are, oldest first.
CREATE INDEX media_kept ON media (timestamp) WHERE gone_since IS NULL;

CREATE INDEX media_favorite ON media (media_id) WHERE favorite = 1;

CREATE INDEX path_media ON path (media_id);
