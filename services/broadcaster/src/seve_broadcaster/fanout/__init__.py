"""Distribution of the stream to subscribers. Pure: no socket."""
