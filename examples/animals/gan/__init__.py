"""DCGAN for the photos of one class: networks, training, evaluation."""
