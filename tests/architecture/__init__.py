"""Gates over the repository itself: each is a function that finds violations, proven by a planted one."""
