"""Questions about images, and answers to them."""
