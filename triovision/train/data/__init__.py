"""Training data: manifests, datasets, transforms, samplers, loaders, caches and splits."""
