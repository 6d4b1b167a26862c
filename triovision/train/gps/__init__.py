"""Training of ResNetGPS: from a photo and the metadata of a city to a position."""
