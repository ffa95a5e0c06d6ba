"""The parts of the page "Look inside": what is looked at, and one module for each way of looking at it.

tiles       a picture made of squares that answer to the pointer and to a click
scene       one run at one epoch, one image, and what every layer made of it
photo       a picture of one's own, brought to 32x32 step by step
answer      what the network says
epochs      the slider through the training, and Play

maps, blocks, one_map, kernels, switches, why, two_runs, xray, what_if     the views
"""
