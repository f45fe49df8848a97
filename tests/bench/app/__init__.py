"""How the app holds while much goes up: the stalls of its event loop."""
