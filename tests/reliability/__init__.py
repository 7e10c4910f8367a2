"""The proof of docs/promises.md: each promise is tried often, and every run prints its counts.

The ordinary suite runs a short form; `make reliability` tries each as often as the promise says,
and `--count NAME=N` as often as one likes: `pytest tests/reliability --count kills=200`.
"""
