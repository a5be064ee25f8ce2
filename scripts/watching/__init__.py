"""What Atoll is watched with: metrics, dashboards, rules. `scripts/watching.py` writes and checks what is made of it."""
