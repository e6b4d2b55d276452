"""Words that every room shares: models, errors, the model registry, text normalisation. Pure."""
