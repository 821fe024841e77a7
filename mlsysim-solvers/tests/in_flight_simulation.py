"""An engine that batches in flight, pass by pass: the oracle of the closed form, not part of the product."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field


@dataclass
class Rules:
    """What the engine does; times are affine in decoded and prompt tokens."""

    slots: int
    budget: int
    mixed: bool = True
    base: float = 10e-3
    per_request: float = 20e-6
    per_token: float = 30e-6
    chunked: bool = True
    overlap: bool = False
    hold: int = 0
    interval: int = 1
    intake: float = 0.0
    room: int = 0
    natural: bool = False

    def plain(self, decoding: float) -> float:
        return self.base + self.per_request * decoding

    def reading(self, decoding: float, tokens: float) -> float:
        return self.base + self.per_request * decoding + self.per_token * tokens


@dataclass
class Job:
    arrived: float
    prompt: int
    output: int
    admitted: float = 0.0
    read: int = 0
    written: int = 0
    first: float = 0.0
    done: float = 0.0
    kept: int = 0

    @property
    def held(self) -> int:
        return self.read + self.written - self.kept

    def leave(self) -> None:
        """Give up the cache; what was written is read again like a prompt."""
        self.prompt += self.written - self.kept
        self.read, self.kept = 0, self.written


@dataclass
class Run:
    jobs: list[Job] = field(default_factory=list)
    end: float = 0.0

    def settled(self) -> list[Job]:
        """Return the jobs of the middle of the run."""
        done = sorted(self.jobs, key=lambda j: j.done)
        return done[len(done) // 4 : -len(done) // 8]

    @property
    def rate(self) -> float:
        middle = self.settled()
        return (len(middle) - 1) / (middle[-1].done - middle[0].done)

    def mean(self, of) -> float:
        middle = self.settled()
        return sum(map(of, middle)) / len(middle)

    def quantile(self, of, share: float) -> float:
        values = sorted(map(of, self.settled()))
        return values[int(share * (len(values) - 1))]


def ttft(job: Job) -> float:
    return job.first - job.arrived


def tpot(job: Job) -> float:
    return (job.done - job.first) / (job.output - 1)


def latency(job: Job) -> float:
    return job.done - job.arrived


@dataclass
class Simulation:
    """The state of the engine between two passes."""

    rules: Rules
    chance: random.Random
    lengths: tuple[float, float]
    spread: float
    left: int = 0
    now: float = 0.0
    began: float = 0.0
    held: int = 0
    unseen: int = 0
    coming: deque[Job] = field(default_factory=deque)
    waiting: deque[Job] = field(default_factory=deque)
    reading: deque[Job] = field(default_factory=deque)
    decoding: list[Job] = field(default_factory=list)

    def length(self, mean: float) -> int:
        if self.rules.natural:
            shape = self.spread**-2
            return max(1, round(self.chance.gammavariate(shape, mean / shape)))
        return max(1, round(mean * (1 + self.spread * (2 * self.chance.random() - 1))))

    def job(self, at: float) -> Job:
        return Job(at, *map(self.length, self.lengths))

    @property
    def busy(self) -> bool:
        return bool(self.reading or self.decoding)

    def admit(self) -> None:
        """Let in who is there, unless the engine does not look, or holds new prompts back."""
        self.unseen += 1
        if self.busy and self.unseen < self.rules.interval:
            return
        self.unseen = 0
        # A pass that is put together while the one before runs knows who was there when that one began.
        known = self.began if self.rules.overlap and self.busy else self.now
        while self.coming and self.coming[0].arrived <= known:
            self.waiting.append(self.coming.popleft())
        if self.waiting and self.decoding and self.held < self.rules.hold:
            self.held += 1
            return
        self.held = 0
        if self.crowded_out():
            return
        while self.waiting and len(self.reading) + len(self.decoding) < self.rules.slots and self.fits():
            self.waiting[0].admitted = self.now
            self.reading.append(self.waiting.popleft())

    def taken(self) -> int:
        """Return the tokens for which the memory is taken when this pass has run."""
        return sum(job.prompt for job in self.reading) + sum(job.held + 1 for job in self.decoding)

    def fits(self) -> bool:
        return not self.rules.room or self.taken() + self.waiting[0].prompt <= self.rules.room

    def crowded_out(self) -> bool:
        """Send who came last out of memory until the others have room; tell whether anybody had to go."""
        gone = False
        while self.rules.room and self.taken() > self.rules.room:
            # Prompts that are being read came after those that decode.
            job = self.reading.pop() if self.reading else self.decoding.pop()
            job.leave()
            self.waiting.appendleft(job)
            gone = True
        return gone

    def read(self) -> tuple[list[Job], int]:
        """Return whose prompts end in this pass, and the prompt tokens that it reads."""
        room = self.rules.budget - (len(self.decoding) if self.rules.mixed else 0)
        ended, tokens = [], 0
        while self.reading and room > 0:
            job = self.reading[0]
            if not self.rules.chunked and job.prompt > room:
                break
            take = min(room, job.prompt - job.read)
            job.read, room, tokens = job.read + take, room - take, tokens + take
            if job.read == job.prompt:
                ended.append(self.reading.popleft())
        return ended, tokens

    def run_pass(self) -> list[Job]:
        """Run a pass and return whose answers end with it."""
        ended, tokens = self.read()
        self.began = self.now
        decoding = self.decoding if self.rules.mixed or not tokens else []
        self.now += self.rules.reading(len(decoding), tokens) if tokens else self.rules.plain(len(decoding))
        for job in ended:
            job.first = job.first or self.now
        for job in [*ended, *decoding]:
            job.written += 1
            job.done = self.now
        everybody = [*self.decoding, *ended]
        self.decoding = [job for job in everybody if job.written < job.output]
        return [job for job in everybody if job.written >= job.output]


def simulate(rules: Rules, *, input_, output, spread=0.0, clients=0, rate=0.0, requests=2000, seed=1, apart=0.0) -> Run:
    """Run the engine; clients send their next request when the last one is answered, or requests come at random.

    ``spread`` is the half-width of uniform lengths over their mean, or where they are natural the standard deviation of
    gamma lengths. Memory of ``room`` tokens lets in whoever's prompt it holds, and sends out who came last. What a pass answers reaches its client when the
    pass ends; the next request is seen by the pass after the one that is then running. The first requests of the clients
    come ``apart`` one after the other.
    """
    engine = Simulation(rules, random.Random(seed), (input_, output), spread, requests)
    at = 0.0
    while engine.left and (rate or len(engine.coming) < clients):
        engine.coming.append(engine.job(at + engine.chance.expovariate(rate) if rate else at))
        at = engine.coming[-1].arrived + apart
        engine.left -= 1
    run = Run()
    while engine.coming or engine.waiting or engine.busy:
        engine.admit()
        if not engine.busy:
            engine.now = engine.coming[0].arrived
            continue
        answered = engine.run_pass()
        run.jobs += answered
        for _ in answered[: engine.left]:
            # The pass that starts now does not see it.
            engine.coming.append(engine.job(engine.now + max(rules.intake, 1e-9)))
            engine.left -= 1
    run.end = engine.now
    return run
