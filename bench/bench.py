"""Speed: the loop against plain PyTorch, and training against pythae 0.1.2.

    make bench                      # or: python bench/bench.py [--rounds N] [--out FILE.md]

The contenders of a row take turns, and the ratio is the median of the rounds' ratios. Timings of
shared machines are noisy; the spread is given.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import logging
import multiprocessing as mp
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from zspace.core import Batches
from zspace.functional import normal_kl, squared_error
from zspace.nets.flexae import FlexAENets
from zspace.recipes import RECIPES, Facts
from zspace.training import Precision, adam, fit, make_fabric

Step = Callable[[], None]


def images(side: int, n: int = 4096) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, 1, side, side), generator=generator).to(torch.uint8)


def draw(x: Tensor, size: int, memory: torch.memory_format) -> Tensor:
    rows = torch.randint(len(x), (size,))
    return x[rows].float().div_(255).contiguous(memory_format=memory)


def ours(
    recipe: str, side: int, size: int, precision: Precision = "32", count: int = 1, **options: Any
) -> Step:
    """zspace's own loop; each call does `count` iterations more."""
    torch.manual_seed(0)
    plan = RECIPES[recipe](Facts((1, side, side)), batch_size=size, **options)
    model = plan.model
    model.to(memory_format=torch.channels_last)
    fabric = make_fabric("cpu")
    batches = Batches(images(side), size=size, replacement=True)
    method: Any = KeepOptimizers(model)

    def step() -> None:
        fit(method, batches, batches.step + count, fabric=fabric, precision=precision)

    return step


class KeepOptimizers:
    """A method whose optimisers outlive a call of `fit`, so that one iteration can be timed."""

    def __init__(self, model: Any) -> None:
        self.model, self.kept = model, model.optimizers()

    def optimizers(self) -> Any:
        return self.kept

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)


def repeat(step: Step, count: int) -> Step:
    def several() -> None:
        for _ in range(count):
            step()

    return several


def void(value: object) -> None:
    pass


def by_hand(recipe: str, side: int, size: int, count: int = 1, **options: Any) -> Step:
    """An AE or VAE as one writes it by hand: the same networks, memory layout and fused Adam.

    Each call makes `count` iterations; the loss is read every tenth, as zspace logs it.
    """
    torch.manual_seed(0)
    model = RECIPES[recipe](Facts((1, side, side)), **options).model
    encoder, decoder = model.encoder, model.decoder
    model.to(memory_format=torch.channels_last)
    optimizer = adam([*encoder.parameters(), *decoder.parameters()], 2e-4)
    data, done = images(side), 0

    def step() -> None:
        nonlocal done
        for _ in range(count):
            x = draw(data, size, torch.channels_last)
            if recipe == "ae":
                loss = squared_error(decoder(encoder(x)), x)
            else:
                mean, log_variance = encoder(x).chunk(2, 1)
                log_variance = log_variance.clamp(-20, 20)
                z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
                loss = squared_error(decoder(z), x) + normal_kl(mean, log_variance)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += 1
            if done % 10 == 0:
                loss.item()

    return step


def penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    a = torch.rand(len(real), *[1] * (real.ndim - 1))
    u = (a * real + (1 - a) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(u).sum(), u, create_graph=True)
    return 10 * (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def hand_written_flexae(side: int, size: int, *, tuned: bool) -> Step:
    """FlexAE-SR written by hand.

    tuned: with everything that zspace does to be quick (memory layout, fused Adam, gradients of
    the moved parameters only, one decoder pass for the last draw): what the loop itself costs.
    Otherwise the plain transcription of Algorithm 1: contiguous memory, PyTorch's default Adam,
    `zero_grad` and `backward`, every loss computed where its line stands. Frozen parts of the
    critics' losses are computed without a graph in both.
    """
    torch.manual_seed(0)
    nets = FlexAENets((1, side, side), 20, momentum=0.01)
    e, d, g = nets.encoder(), nets.decoder(), nets.generator()
    c_z, c_x = nets.latent_critic(), nets.image_critic()
    memory = torch.channels_last if tuned else torch.contiguous_format
    if tuned:
        nn.ModuleList([e, d, g, c_z, c_x]).to(memory_format=torch.channels_last)
    autoencoder = [*e.parameters(), *d.parameters()]
    groups: dict[str, tuple[list[nn.Parameter], float, tuple[float, float]]] = {
        "ae": (autoencoder, 2e-4, (0.9, 0.999)),
        "critic": (list(c_z.parameters()), 1e-4, (0.0, 0.9)),
        "regulariser": (list(c_x.parameters()), 2e-4, (0.5, 0.9)),
        "ae_reg": (autoencoder, 2e-4, (0.5, 0.9)),
        "generator": (list(g.parameters()), 1e-4, (0.0, 0.9)),
        "encoder": (list(e.parameters()), 1e-5, (0.0, 0.9)),
    }
    optimizers = {
        k: Adam(p, r, b, fused=True if tuned else None) for k, (p, r, b) in groups.items()
    }
    everything = nn.ModuleList([e, d, g, c_z, c_x])
    data = images(side)

    def minimise(name: str, loss: Tensor) -> None:
        if tuned:
            parameters = groups[name][0]
            for p, grad in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                p.grad = grad if grad.stride() == p.stride() else torch.empty_like(p).copy_(grad)
        else:
            everything.zero_grad()
            loss.backward()
        optimizers[name].step()
        loss.item()

    def step() -> None:
        x = draw(data, size, memory)
        minimise("ae", squared_error(d(e(x)), x))
        for i in range(5):
            keep = tuned and i == 4
            x, w = draw(data, size, memory), draw(data, size, memory)
            n, gamma = torch.randn(size, 20), torch.rand(size, 1)
            with torch.set_grad_enabled(keep):
                z_hat = g(n)
                z = e(x)
                x_inp = d(gamma * z + (1 - gamma) * e(w))
            real, fake = z.detach(), z_hat.detach()
            minimise("critic", c_z(fake).mean() - c_z(real).mean() + penalty(c_z, real, fake))
            fake = x_inp.detach()
            minimise("regulariser", c_x(fake).mean() - c_x(x).mean() + penalty(c_x, x, fake))
        if not tuned:
            x_inp = d(gamma * e(x) + (1 - gamma) * e(w))
            z_hat_new = None
        minimise("ae_reg", -c_x(x_inp).mean())
        if not tuned:
            z_hat_new = g(n)
        z_hat = z_hat if tuned else z_hat_new
        minimise("generator", -c_z(z_hat).mean())
        with torch.no_grad():
            d(z_hat)
        minimise("encoder", c_z(e(x)).mean())

    return step


class Apart:
    """A step in a process of its own: zspace's memory settings must not serve its contender."""

    def __init__(self, make: Callable[..., Step], *arguments: Any, **options: Any) -> None:
        context = mp.get_context("spawn")
        self.pipe, there = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(there, make, arguments, options), daemon=True
        )
        self.process.start()
        self.pipe.recv()

    def __call__(self) -> None:
        self.pipe.send(None)
        self.pipe.recv()


def _serve(pipe: Any, make: Callable[..., Step], arguments: Any, options: Any) -> None:
    step = make(*arguments, **options)
    pipe.send(None)
    with contextlib.suppress(EOFError):  # the other end is gone: done
        while True:
            pipe.recv()
            step()
            pipe.send(None)


def take_turns(
    contenders: dict[str, Step], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of a step of each, by rounds; the first round warms up and does not count."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for i in range(rounds + 1):
        for name, step in contenders.items():
            began = clock()
            step()
            if i:
                times[name].append(clock() - began)
    return times


def ratio(times: dict[str, list[float]], a: str, b: str) -> str:
    """The median over rounds of a's time in units of b's, and the quartiles."""
    ratios = [x / y for x, y in zip(times[a], times[b], strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    return f"{statistics.median(ratios):.3f} ({low:.3f} to {high:.3f})"


SMALL: dict[str, Any] = {"arch": "fc", "hidden": 64, "latent_dim": 8}


def overhead(rounds: int) -> Iterator[str]:
    large = (
        ("VAE, 28x28, batch 128", "vae", 10, 28, 128, {}, 1.02),
        ("FlexAE-SR, 28x28, batch 128", "flexae-sr", 1, 28, 128, {}, 1.02),
    )
    small = (
        (f"{recipe.upper()}, fc, 8x8, batch {size}", recipe, 500, 8, size, SMALL, 1.05)
        for recipe in ("ae", "vae")
        for size in (32, 128)
    )
    for name, recipe, count, side, size, options, goal in (*large, *small):
        plain = (
            repeat(hand_written_flexae(side, size, tuned=True), count)
            if recipe == "flexae-sr"
            else by_hand(recipe, side, size, count, **options)
        )
        mine = ours(recipe, side, size, count=count, **options)
        times = take_turns({"zspace": mine, "by hand": plain}, rounds, time.process_time)
        milliseconds = 1e3 * statistics.median(times["zspace"]) / count
        yield (
            f"| (a) loop, {name} | {milliseconds:.3g} ms an iteration | "
            f"{ratio(times, 'zspace', 'by hand')} | at most {goal} |"
        )


def against_eager(rounds: int) -> Iterator[str]:
    times = take_turns(
        {
            "float32": Apart(ours, "flexae-sr", 28, 128),
            "eager": Apart(hand_written_flexae, 28, 128, tuned=False),
            "bf16": Apart(ours, "flexae-sr", 28, 128, "bf16"),
        },
        rounds,
    )
    eager = statistics.median(times["eager"])
    for name, goal in (("float32", 0.85), ("bf16", 0.6)):
        seconds = statistics.median(times[name])
        yield (
            f"| (c) FlexAE-SR, {name}, against plain eager PyTorch ({eager:.2f} s) | "
            f"{seconds:.3f} s an iteration | {ratio(times, name, 'eager')} | at most {goal} |"
        )


def pythae_step(kind: str, side: int, size: int, batches: int) -> Step:
    """An epoch of pythae's trainer with the same networks, as its documentation trains."""
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    from pythae.data.datasets import BaseDataset
    from pythae.models import AE, VAE, AEConfig, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    nets = FlexAENets((1, side, side), 20)

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.net = nets.encoder(20 if kind == "ae" else 40)

        def forward(self, x: Tensor) -> Any:
            if kind == "ae":
                return ModelOutput(embedding=self.net(x))
            mean, log_variance = self.net(x).chunk(2, 1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.net = nets.decoder()

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=self.net(z))

    shape = (1, side, side)
    config = (AEConfig if kind == "ae" else VAEConfig)(input_dim=shape, latent_dim=20)
    torch.manual_seed(0)
    model = (AE if kind == "ae" else VAE)(config, encoder=Encoder(), decoder=Decoder())
    data = images(side, size * batches).float() / 255
    trainer = BaseTrainer(
        model,
        BaseDataset(data, torch.zeros(len(data))),
        training_config=BaseTrainerConfig(
            output_dir=tempfile.mkdtemp(),
            num_epochs=1,
            per_device_train_batch_size=size,
            learning_rate=2e-4,
            no_cuda=True,
        ),
    )
    trainer.prepare_training()
    epoch = iter(range(1, 10**6))

    def step() -> None:
        # the trainer's own progress goes to standard error
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
            trainer.train_step(next(epoch))

    return step


def against_pythae(rounds: int) -> Iterator[str]:
    for side, count in ((8, 40), (28, 8)):
        for kind in ("ae", "vae"):
            mine = Apart(ours, kind, side, 128, count=count)
            theirs = Apart(pythae_step, kind, side, 128, count)
            times = take_turns({"zspace": mine, "pythae": theirs}, rounds)
            mine.process.kill()
            theirs.process.kill()
            speed = {name: count * 128 / statistics.median(t) for name, t in times.items()}
            yield (
                f"| (b) {kind.upper()}, {side}x{side}, images a second | "
                f"{speed['zspace']:.0f}; pythae 0.1.2: {speed['pythae']:.0f} | "
                f"{ratio(times, 'zspace', 'pythae')} | below 1 |"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="write the table to this file, too")
    options = parser.parse_args()
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [s for s in cpuinfo.read_text().splitlines() if s.startswith("model name")]
        model = names[0].split(":")[1].strip() if names else model
    lines = [
        "# Benchmarks",
        "",
        f"`make bench`, {datetime.date.today()}: {model}, {torch.get_num_threads()} threads, "
        f"Python {platform.python_version()}, torch {torch.__version__}.",
        "",
        "A ratio is zspace's time in units of the other's, the median of rounds in which both take",
        f"turns ({options.rounds} of them), with its quartiles.",
        "In (a) both share a process, whose processor time counts; in (b) and (c) each has its",
        "own, and the time that passes counts.",
        "",
        "| what | zspace | ratio | goal |",
        "|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for measure in (overhead, against_pythae, against_eager):
        for row in measure(options.rounds):
            lines.append(row)
            print(row, flush=True)
    if options.out:
        options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
