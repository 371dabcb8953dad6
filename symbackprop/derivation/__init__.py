"""From the forward program to the delta form, by two routes, and from one example to a batch."""
