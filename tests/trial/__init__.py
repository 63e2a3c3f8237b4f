"""The socket fault trial: service and sandbox as processes, faults and kills at random, the exchange's books as judge.

    python -m tests.trial --minutes 5 --seed 7
"""
