"""Images and sentences about them."""
