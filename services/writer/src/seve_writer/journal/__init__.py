"""The journal as the writer sees it: pull consumer, messages, and a monitor of the stream."""
