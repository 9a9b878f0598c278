"""Studies: questions put to the model as a whole."""
