"""What the template costs: ratios, each measured side by side in one run."""
