"""The statistics behind `quorum evaluate` and `quorum calibrate`."""
