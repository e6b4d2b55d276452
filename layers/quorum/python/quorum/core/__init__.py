"""Types shared by all packages: models, errors, the model registry, text normalisation. Pure."""
