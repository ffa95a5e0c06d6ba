"""The network without Keras: its layers, and their forward pass in NumPy."""
