"""Keras: the model of an experiment, the input pipeline, the training loop. Imported by workers only."""
