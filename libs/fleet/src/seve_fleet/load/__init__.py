"""Load at high rates for benchmarks: a publisher and a watcher."""
