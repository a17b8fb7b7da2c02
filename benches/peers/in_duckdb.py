"""Runs the SQL on standard input in DuckDB, and prints the last result's rows as JSON.

    in_duckdb.py THREADS <FILE

Runs in the venv of tests/python.sh; nothing else here imports duckdb.
"""

import json
import sys

import duckdb

connection = duckdb.connect(config={"threads": int(sys.argv[1]), "preserve_insertion_order": False})
rows = connection.execute(sys.stdin.read()).fetchall()
print(json.dumps(rows, default=str))
