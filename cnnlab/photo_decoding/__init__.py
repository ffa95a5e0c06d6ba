"""Decoding of untrusted pictures, in a process of its own. It imports no other package of cnnlab."""
