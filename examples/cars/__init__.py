"""Fine-grained classification of 196 makes and models of cars."""
