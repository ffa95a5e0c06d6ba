"""Files on disk: atomic writes, locks between processes, run directories and uploads."""
