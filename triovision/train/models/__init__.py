"""Networks of recipes: construction, initial weights, linear probe and forward passes."""
