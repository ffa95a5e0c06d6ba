"""CNN Lab: train small convolutional networks, watch them learn, and look at every feature map they make."""
