"""One point of the model by names: its metrics, its operators, the services built of several."""
