"""``make bench``: what the guard costs, beside what people use instead of it.

Each figure is a ratio of things measured in turn (A B C A B C …) in one run on one machine, so that the
machine's other work falls on all of them. A figure is the median of its rounds' ratios. What takes its time
by nature (a line that drains, a backlog) is measured once, beside the same made of what people use instead.

    throughput    whole Celery workers, one for each contender, on queues that are filled beforehand
    round_trips   the same workers behind a proxy that counts turns of the conversation with Redis
    guard         begin and finish alone, in this process: CPU, and time beside the least that a script can do
    imports       what a producer pays to import our tasks
    backlog       100,000 calls that wait: the worker's memory, and how its other provider fares
    rate_use      how much of a rate one, two and four processes use, and whether an interval sees more
    waiting_drain a line from its first call to its last
"""
