"""Questions about a network and its predictions: arrays in, arrays or small frozen results out.

Nothing here reads a file, draws, formats text, or keeps state between calls. Layers are named as in
`models.architecture` ("conv1", "relu1", "pool1", ...); rows count from the top, columns from the left, filters and
classes from 0.
"""
