"""Constants of queues that are served in batches."""

from __future__ import annotations

OVERSHOOT = 1.165
"""Twice 0.5826, the mean by which a normal random walk in steps of one deviation overshoots a level: -zeta(1/2) /
sqrt(2 pi). A queue that is emptied batch by batch is shorter by it than one that is emptied all the time."""

OVERSHOOT_SQUARED = 0.22
"""The next term, from the series of Spitzer for such a walk at drifts of one and two deviations."""

NORMAL_CUBIC = (1.5976, 0.07056)
"""Coefficients of x and x^3 in 1 / (1 + exp(-(a x + b x^3))), which is the normal distribution within 0.0002."""

NORMAL_LOSS = 1.75
"""Factor k with which ln(1 + exp(-k z)) / k is about the mean by which a normal number exceeds z."""

SPREAD_OF_TAIL = {"p50": (0.5, 0.0, 1.0), "p99": (0.01, 1.0, 2.0)}
"""Share of requests beyond a quantile; by how much the spread of passes is weighed where it turns the even spread of
waits within a pass into an exponential one, found on simulated queues; and how many standard deviations upwards the
spread is read off."""

EXPONENTIAL_MOST = 1.15
"""Greatest quantile of a latency over that of an exponential wait with the same mean: found on simulated queues."""

NEAR = 1.25
"""Standard deviations of random arrivals at which passes stand for those around a mean batch: found on simulated
queues, as the eighth root is by which batches deviate more in a server that is nearly full."""

QUEUE_LOG_SD = {"latency": 0.05, "p50": 0.06, "p99": 0.09}
"""Scale by which the approximations of a batched queue stray from simulation, over batches of 1 to 128, loads of 5
to 90 %, and passes that grow evenly or bend where arithmetic takes over from reading weights."""

ARRIVAL_LOG_SD = {
    "ttft": (0.015, 0.3), "ttft_p50": (0.06, 0.2), "ttft_p90": (0.1, 0.2), "ttft_p99": (0.2, 0.3),
    "latency": (0.01, 0.35), "latency_p50": (0.04, 0.35), "latency_p90": (0.06, 0.25), "latency_p99": (0.15, 0.2),
    "tpot": (0.01, 0.35),
}  # fmt: skip
"""Scale by which the closed form of an engine with random arrivals strays from its simulation, pass by pass: with
hardly any load, and what full load adds. By eye, from 208 simulated runs: loads of 5 to 95 %, 64 to 2048 places,
prompts of 128 to 16,384 tokens, answers of 16 to 512, alike or scattered, stacks that mix prompts with decoding and
others."""

FRONT_SPREAD = 0.2
"""Spread of the logarithm of what a front end takes for an answer. Estimate, range 0.1 to 0.5: machines differ, and so
do versions."""

BEFORE = 0.4
"""Share of what a front end takes for a request, whatever its length, before the engine sees it; the rest ends its
answer: what it used is counted, its messages and its connection are closed. Estimate, range 0.2 to 1; 1 until first
tokens of short prompts, and rates that front ends limit, were seen."""

TURNS = 0.5
"""Share of its work that a front end written as coroutines does for all who come together before it hands anyone to
the engine: it receives and parses requests in turns, and one thread then finds their tokens one by one
(vllm-project/vllm, issue 25301: a ThreadPoolExecutor of one worker). Estimate, range 0 to 1: mean first tokens of
servers under vLLM and TensorRT-LLM grow with the clients by as much on eight devices as on two, and the more the longer
prompts are; what an engine adds would shrink. 0 was used before these residuals were seen; 0.4 or 0.6 do as well."""

LEAST = 1e-9
"""What a number that is divided by is held above: far below anything that is asked for."""

MOST_DEVIATIONS = 8.0
"""Standard deviations beyond which a full batch never happens."""

LARGEST_RATIO = 372.5
"""Greatest batch over arrivals of a full pass that is counted with: (exp(8) - 1) / 8, a rate of decay of 8."""

LARGEST_EXPONENT = 500.0
"""Exponents are held below: floats end at 709."""

TWO_PI = 6.283185307179586
"""The ratio of circumference to radius, 2 pi."""

NEAR_FULL = 1.02
"""Greatest batch over arrivals of a full pass below which two terms of a series are exact to five digits."""

FULLEST = 0.999
"""Largest occupation that a waiting line is counted with: at 1 it grows without end, and no number describes it."""

EXCEEDED = {"p50": (0.5, 0.0), "p90": (0.1, 1.2815515655446004), "p99": (0.01, 2.3263478740408408)}
"""Share of requests beyond a quantile, and the standard deviations of a normal number at which it lies."""
