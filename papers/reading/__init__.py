"""Reading manuscripts: formulas in LaTeX as expressions of a claim, and whether they still say what it says."""
