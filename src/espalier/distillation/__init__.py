"""A large network teaches a small one: students, losses that look inside, an adversary, pruning meanwhile."""
