"""Claims on trial: examples of their hypotheses, counterexamples, and the same claims with one token changed."""
