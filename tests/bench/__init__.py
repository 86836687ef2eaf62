"""What the daemon can do on this machine, against what a first version must show: `python -m tests.bench`."""
