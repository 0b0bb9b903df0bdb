"""One file an experiment; its path below this folder is its name. Such a file imports `pipeline.config` only."""
