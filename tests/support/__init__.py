"""What all tests share: real stores, real processes, waiting for a condition."""
