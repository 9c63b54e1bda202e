"""How a call becomes an answer: one model, a cascade, a hybrid, or the best of several."""
