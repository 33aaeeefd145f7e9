"""What training/evaluate.py measures: metrics, intervals, slices, confusion, calibration, and their pages."""
