"""The engine, ignorant of kinds: cache, keyed queue, workers, jobs, resync, executor."""
