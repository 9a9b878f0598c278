"""Co-design: the best mix of a machine's numbers under budgets."""
