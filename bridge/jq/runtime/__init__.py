"""What generated code calls: JSON values, arithmetic, paths, formats, and the budget of one evaluation."""
