"""Networks. Every module broadcasts over the dims that inference adds on the left."""
