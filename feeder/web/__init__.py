"""The page and the API: what the log holds, for a browser and for programs."""
