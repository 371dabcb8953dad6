"""From a network to its forward program, and the cost as one explicit composite."""
