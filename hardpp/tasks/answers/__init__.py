"""What an opened run answers: texts, posteriors, pictures, and how far to believe them."""
