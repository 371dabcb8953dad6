"""A derivation laid out for reading: its forms, what each line claims, and sentences beside it."""
