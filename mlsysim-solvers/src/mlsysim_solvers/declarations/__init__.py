"""What each solver declares: one module for each, of the same name. Strings only, so listing solvers imports none."""
