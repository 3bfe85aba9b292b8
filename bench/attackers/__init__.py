"""The parts of `bench/attacks.py`: what is attacked, by whom, and how an ordinary client fares beside it."""
