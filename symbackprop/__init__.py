"""symbackprop derives backpropagation: a network in; a derivation, gradient code and a proof out."""
