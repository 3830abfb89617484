"""Pure tensor maths, without Pyro."""
