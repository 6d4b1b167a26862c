"""Google Landmarks v2 (Weyand et al., CVPR 2020): from the official metadata and shards to a manifest with photos."""
