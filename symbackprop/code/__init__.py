"""Generated code: the vectorised program, the plan of the fast path, and a printer for each target."""
