"""Pure formulas: one equation each, on floats, arrays and quantities alike."""
