"""The views of the page Look inside, one module each: controls on top, a call into `analysis`, a drawing."""
