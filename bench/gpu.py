"""On a CUDA device: whether every recipe and sampler works, and how long an iteration takes.

    python bench/gpu.py [--device cuda|cpu] [--tiny] [--seconds N] [--out FILE.md]

It needs no network and no files. A check that fails is a row of the table, with its traceback on
standard error, and makes the exit status 1; what `--seconds` leave no time for is "not reached".
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import math
import os
import platform
import statistics
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

import zspace
from zspace.cli import cli
from zspace.core import Batches, Density, Method, as_progress
from zspace.data.images import Images, Part
from zspace.features import classifier
from zspace.generation.drawing import draw_codes
from zspace.generation.fit import fit_sampler, read_sampler
from zspace.options import idle_by, options_of
from zspace.recipes import RECIPES, Facts, catalogue, find
from zspace.samplers import FlowMatching
from zspace.storage.files import open_tensors
from zspace.training import Rate, constant, find_device, fit, graphs, make_fabric
from zspace.training.graphs import quick

ITERATIONS, HALF = 6, 3
"""The iterations of a checked training, and those after which it is interrupted."""

SMALL: dict[str, Any] = (
    {"width": 4, "hidden": 16, "latent_dim": 3, "batch_size": 16, "second_hidden": 16}
    | {"pseudo_inputs": 5, "flow_hidden": 8, "ratio_hidden": 8, "codebook": 8, "embedding": 2}
    | {"prior_width": 8, "prior_blocks": 1, "decoder_width": 4, "perceptual": 0.0}
    | {"classifier_iterations": 2, "vae_iterations": 2, "first_iterations": 2}
)
"""Hyper-parameters with which every recipe is quick, and both of two stages are trained."""

WAYS = ("float32", "bf16", "graph float32", "graph TF32", "graph bf16")
"""How an iteration is made: as it is written, or as a graph; and in which precision."""

WARM_UP, ITEM = 2, 16.0
"""The blocks of iterations that are not timed, and the seconds that a training may take."""


CONTRACT = """## What holds

By deterministic algorithms where PyTorch has them, the largest differences of weights. Resumed:
after a training that was interrupted. Graph: whose iterations were captured as a graph and
replayed, from those of one whose iterations ran as written; no number where none can be captured.
First losses: the largest relative difference from the CPU's, by chance where noise is drawn on the
device.

| | | resumed | graph | first losses | s |
|---|---|---|---|---|---|"""
TIMES = """
## An iteration

Images of 28x28, default options; the median of blocks of 10 iterations, least and most. "graph" is
an iteration that was captured and is replayed; float32 is without TF32; TF32 is in matrix products
and convolutions; bf16 is `--precision bf16`, and TF32 in the rest.

| | | batch | ms | kernels | peak MiB | s |
|---|---|---|---|---|---|---|"""


class Table:
    """Rows that are printed as they come, within a time limit for all of them."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.lines: list[str] = []
        self.failed: list[str] = []

    @property
    def left(self) -> float:
        return self.end - time.monotonic()

    def add(self, *lines: str) -> None:
        self.lines += lines
        print("\n".join(lines), flush=True)

    def row(self, name: str, columns: int, cells: Callable[[], list[str]]) -> None:
        """A row of a name, what a function returns, or why it returns nothing, and its seconds."""
        began = time.perf_counter()
        if self.left <= 0:
            found = ["not reached"]
        else:
            try:
                found = cells()
            except Exception as error:  # a failure is a result
                traceback.print_exc()
                last = (str(error).strip().splitlines() or [""])[-1].replace("|", "/")[:200]
                found = [f"FAILED: {type(error).__name__}: {last}"]
                self.failed.append(name)
        found += [""] * (columns - 2 - len(found)) + [f"{time.perf_counter() - began:.1f}"]
        self.add(f"| {' | '.join([name, *found])} |")


def random_images(n: int, side: int) -> Images:
    """Random images with ten labels, of MNIST's shape if the side is 28."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (n, 1, side, side), generator=generator).to(torch.uint8)
    y = torch.arange(n) % 10
    part, rest = Part(x, y), Part(x[: n // 4], y[: n // 4])
    return Images("random images", part, rest, rest, tuple("0123456789"))


def known_to(function: Callable[..., object], options: dict[str, Any]) -> dict[str, Any]:
    """Those of some options that a recipe or a sampler has, and that have an effect by default."""
    known = options_of(function)
    usual = {name: option.default for name, option in known.items()}
    if "arch" in usual and usual["arch"] is None:  # unset, it is that of grey images
        usual["arch"] = "fc"
    return {k: v for k, v in options.items() if k in known and idle_by(known[k], usual) is None}


def check(what: str, x: Tensor, device: torch.device) -> None:
    if x.device.type != device.type or not bool(torch.isfinite(x).all()):
        raise ValueError(f"{what}: NaN or infinite, or not on {device} but on {x.device}")


def distance(a: nn.Module, b: nn.Module) -> float:
    """The largest difference of two models' weights and buffers."""
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return max(float((x.double().cpu() - y.double().cpu()).abs().max()) for x, y in pairs)


@contextlib.contextmanager
def replaced(**values: object) -> Generator[None]:
    """A context in which names of `zspace.training.graphs` mean something else."""
    before = {name: getattr(graphs, name) for name in values}
    try:
        for name, value in values.items():
            setattr(graphs, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(graphs, name, value)


class Counted:
    """`captured`, which counts the graphs."""

    def __init__(self) -> None:
        self.graphs, self.captured = 0, graphs.captured

    def __call__(self, device: torch.device) -> graphs.Capture | None:
        capture = self.captured(device)

        def counted(function: Callable[[], None]) -> Callable[[], object]:
            self.graphs += 1
            assert capture is not None
            return capture(function)

        return None if capture is None else counted


def check_recipe(name: str, images: Images, device: torch.device, folder: Path) -> list[str]:
    """Train, load, use, interrupt and resume a tiny model; and compare it with that of the CPU."""
    out, x = folder / name, images.test.x[:4].float().div(255).to(device)
    more = {"iterations": ITERATIONS, "log_every": 1, "checkpoint_every": 1, "keep": 0}
    options = {**known_to(find(name), SMALL), **more}
    train: Any = zspace.train
    counted = Counted()
    with replaced(captured=counted):
        whole = train(name, images, out=out, device=device.type, **options)
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    if len(log) != ITERATIONS or not all(math.isfinite(v) for line in log for v in line.values()):
        raise ValueError(f"losses: {log}")
    model = zspace.load(out, device=device.type)
    if distance(model, whole):
        raise ValueError("the loaded model is not the trained one")
    with replaced(WARM_UP=10**6):
        written = train(name, images, device=device.type, **options)
    graph = f"{distance(whole, written):.2g}" if counted.graphs else ""
    with torch.no_grad():
        check("decoded images", model.decode(model.encode(x)), device)
        check("reconstructions", model.reconstruct(x), device)
        check("interpolations", model.interpolate(x[:2], x[2:], 3), device)
        for sampler in model.samplers().values():
            z = sampler.sample(5, generator=torch.Generator(device).manual_seed(0))
            check("drawn codes", z, device)
            if isinstance(sampler, Density):
                check("log densities", sampler.log_prob(z), device)
    if model.prior is not None:
        check("samples", model.sample(5), device)
    (out / "model.safetensors").unlink()
    for path in (out / "checkpoints").iterdir():
        if int(path.stem) > HALF:
            path.unlink()
    apart = distance(whole, zspace.resume(out, data=images))
    there = folder / f"{name}-cpu"
    train(name, images, out=there, device="cpu", **{**options, "iterations": HALF})
    first = json.loads((there / "log.jsonl").read_text().splitlines()[0])
    gaps = [abs(log[0][k] - v) / max(abs(v), 1e-3) for k, v in first.items() if k in log[0]]
    return ["holds", f"{apart:.2g}", graph, f"{max(gaps):.2g}"]


def check_sampler(name: str, device: torch.device, folder: Path, run: Path) -> list[str]:
    """Fit, draw, store and read a sampler, by itself and for a run."""
    dim, y = 3, torch.arange(600) % 3
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(600, dim, generator=generator) + 3 * y[:, None]
    theta = 0.5 if name == "simple" else "0.5,0.5,0.5"
    brief: dict[str, Any] = {"iterations": 20, "batch_size": 64, "theta": theta}
    options = known_to(catalogue.find(name), brief)
    sampler = catalogue.make(name, dim, options).to(device).fit(z.to(device), y.to(device))
    path = folder / f"{name}.safetensors"
    header = {"sampler": name, "dim": dim, "options": {**options, **sampler.found}}
    catalogue.save(sampler, path, header)
    with open_tensors(path, catalogue.Header) as file:
        stored = catalogue.load(file).to(device)
    fitted = fit_sampler(run, name, options, device=device.type)
    model = zspace.load(run, device=device.type)
    read = read_sampler(run, name, model)
    if read is None:
        raise ValueError("the run does not hold the sampler")
    for one, other in ((sampler, stored), (fitted, read)):
        drawn = [
            draw_codes(s, name, 50, label, torch.Generator(device).manual_seed(0))
            for s in (one, other)
            for label in (None, 1 if one.labels else None)
        ]
        for codes in drawn:
            check("drawn codes", codes, device)
        if not torch.allclose(drawn[0], drawn[2], rtol=1e-4, atol=1e-4):
            raise ValueError("the stored sampler draws other codes")
        if isinstance(one, Density):
            check("log densities", one.log_prob(drawn[0]), device)
    return ["holds"]


def commands(vae: Path, regene: Path) -> list[str]:
    """What else is done with two runs, as the arguments of `zspace`."""
    more = "--data digits --width 16 --decoder-width 32 --batch-size 32 --perceptual 0"
    return f"""evaluate {vae} --n 100
        diagnose {vae} --n 100
        novelty {vae} --density prior --out {vae}/scores.csv
        novelty {vae} --density kde --out {vae}/scores-kde.csv
        tune {vae} --sampler simple --trials 3
        sample {vae} --n 20 --out {vae}/sample.png
        encode {vae} --out {vae}/codes.npz
        decode {vae} {vae}/codes.npz --out {vae}/decoded.npz
        reconstruct {vae} --out {vae}/rebuilt.png
        interpolate {vae} --out {vae}/lines.png
        imagine {vae} --out {vae}/imagined.png
        neighbours {vae} --sampler prior --out {vae}/nearest.png
        report {vae} --n 100 --out {vae}/report.html
        train regene --out {regene} --iterations 300 --classifier-iterations 100 {more}
        augment {regene} --per-class 3 --out {regene}/more.npz
        gallery {regene} closest --out {regene}/gallery.png""".splitlines()


def check_command(line: str, device: torch.device) -> list[str]:
    arguments = [*line.split(), "--device", device.type, "--quiet"]
    with contextlib.redirect_stdout(io.StringIO()):  # without `zspace.cli.main`: errors come here
        status = cli.main(arguments, prog_name="zspace", standalone_mode=False)
    if status:
        raise RuntimeError(f"status {status}")
    return ["works"]


def contract(table: Table, recipes: list[str], samplers: list[str], device: torch.device) -> None:
    """The rows of what holds on the device."""
    table.add(CONTRACT)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["ZSPACE_CACHE"] = str(folder / "cache")
        classifier.ITERATIONS.update(dict.fromkeys(classifier.ITERATIONS, 50))
        images = random_images(400, 8)
        for recipe in recipes:
            table.row(recipe, 6, partial(check_recipe, recipe, images, device, folder))
        run = folder / "run"
        begin = f"train vae --data digits --out {run} --iterations 50 --width 4 --hidden 16"
        lines = [f"{begin} --latent-dim 3", *commands(run, folder / "regenerated")]
        for i, line in enumerate(lines):
            words = line.split()
            title = " ".join(["zspace", *words[: 2 if words[0] == "train" else 1]])
            table.row(title, 6, partial(check_command, line, device))
            for name in [] if i else samplers:  # the run is there
                table.row(f"sampler {name}", 6, partial(check_sampler, name, device, folder, run))


class Clock:
    """Times blocks of iterations, of which one more is profiled; then it ends the training."""

    def __init__(self, block: int, blocks: int, device: torch.device, seconds: float) -> None:
        self.block, self.blocks, self.device = block, blocks, device
        self.end = time.monotonic() + seconds
        self.times: list[float] = []
        self.kernels: int | None = None
        self.profiler: profile | None = None
        self.seen = 0

    def wait(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def __call__(self, *_: object) -> None:
        now = self.wait()
        if self.profiler is not None:
            self.count(self.profiler)
            raise TimeoutError
        self.seen += 1
        if self.seen > WARM_UP:
            self.times.append((now - self.began) / self.block)
        if len(self.times) >= self.blocks or (self.times and time.monotonic() > self.end):
            if self.device.type != "cuda":
                raise TimeoutError
            self.profiler = profile(activities=[ProfilerActivity.CUDA])
            self.profiler.start()
        self.began = self.wait()

    def count(self, profiler: profile) -> None:
        """Count the kernels of the profiled block, copies and fills of memory not among them."""
        profiler.stop()
        # annotations, such as that of an optimiser's step, span the kernels that they hold
        other = ("Memcpy", "Memset", "Optimizer.", "ProfilerStep")
        events = [e for e in profiler.events() or [] if "cuda" in str(e.device_type).lower()]
        names = [e.name for e in events if not e.name.startswith(other)]
        self.kernels = round(len(names) / self.block)


Made = tuple[Method, Batches, Rate]


def made_of_recipe(name: str, options: dict[str, Any], device: torch.device, n: int) -> Made:
    """The last stage of a recipe, with its batches, as `zspace.api.train` makes them."""
    images = random_images(n, 28)
    facts = Facts(images.shape, images.classes, True, n)
    plan = find(name)(facts, **known_to(find(name), options))  # type: ignore[call-arg]
    plan.model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    stage = plan.stages[-1]
    data = stage.data(images)
    batches = Batches(
        data.x.to(device),
        None if data.y is None else data.y.to(device),
        size=stage.batch_size,
        replacement=stage.replacement,
        reserve=stage.reserve,
        device=device,
    )
    return stage.method, batches, stage.rate


def made_of_sampler(options: dict[str, Any], device: torch.device, n: int) -> Made:
    sampler = FlowMatching(20, **known_to(FlowMatching, options)).to(device)
    z = torch.randn(n, 20, generator=torch.Generator().manual_seed(0))
    return sampler, sampler.batches(z.to(device), (torch.arange(n) % 10).to(device)), constant


def measured(
    make: Callable[[], Made], way: str, device: torch.device, tiny: bool, seconds: float
) -> list[str]:
    """Milliseconds of an iteration, kernels of an iteration, and the peak of memory."""
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    torch.manual_seed(0)
    method, batches, rate = make()
    block, blocks = (1, 2) if tiny else (10, 20)
    clock = Clock(block, blocks, device, seconds)
    more: dict[str, Any] = {"progress": as_progress(clock), "log_every": block}
    more["precision"] = "bf16" if "bf16" in way else "32"
    other: dict[str, object] = {} if "graph" in way else {"captured": lambda _: None}
    if "float32" in way:
        other["quick"] = on_a_stream
    with contextlib.suppress(TimeoutError), replaced(**other):
        fit(method, batches, 10**6, rate=rate, fabric=make_fabric(device.type), **more)
    ms = sorted(1000 * t for t in clock.times)
    peak = f"{torch.cuda.max_memory_allocated(device) / 2**20:.0f}" if cuda else ""
    spread = f"{statistics.median(ms):.3g} ({ms[0]:.3g} to {ms[-1]:.3g})"
    kernels = "" if clock.kernels is None else str(clock.kernels)
    return [way, str(batches.size), spread, kernels, peak]


@contextlib.contextmanager
def on_a_stream(device: torch.device) -> Generator[None]:
    """`graphs.quick` without TF32."""
    if device.type != "cuda":
        yield
        return
    with quick(device), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        torch.set_float32_matmul_precision("highest")
        yield


TIMED = ("ae", "vae", "flexae-sr", "lsrgan", "regene", "latent-flow")
"""The recipes whose iterations are timed, those of the last stage."""


def times(
    table: Table, recipes: list[str], samplers: list[str], tiny: bool, device: torch.device
) -> None:
    """The rows of how long an iteration takes."""
    table.add(TIMES)
    trainings: dict[str, Callable[..., Made]] = {
        name: partial(made_of_recipe, name) for name in TIMED if name in recipes
    }
    if "flow-matching" in samplers:
        trainings["flow-matching"] = made_of_sampler
    less = {"width": 4, "hidden": 16, "batch_size": 8, "decoder_width": 4} if tiny else {}
    for name, make in trainings.items():
        making = partial(make, less, device, 400 if tiny else 10_000)
        for way in WAYS if device.type == "cuda" else ("float32", "bf16"):
            given = (making, way, device, tiny, max(1.0, min(ITEM, table.left) / 2))
            table.row(name, 7, partial(measured, *given))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--tiny", action="store_true", help="a dry run: small networks, few blocks")
    parser.add_argument("--seconds", type=float, default=240, help="time for all rows")
    parser.add_argument("--recipes", default=",".join(RECIPES), help="recipes to try")
    parser.add_argument("--samplers", default=",".join(catalogue.SAMPLERS), help="... samplers")
    parser.add_argument("--only", choices=("contract", "times"), help="one of the two parts")
    parser.add_argument("--out", type=Path, help="write the table to this file, too")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # for deterministic products
    device = find_device(options.device)
    table = Table(options.seconds)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    versions = f"torch {torch.__version__}, CUDA {torch.version.cuda}"
    versions += f", Python {platform.python_version()}"
    table.add("# On an accelerator", "", f"`bench/gpu.py`: {where}, {versions}.", "")
    recipes, samplers = options.recipes.split(","), options.samplers.split(",")
    if options.only != "times":
        torch.use_deterministic_algorithms(True, warn_only=True)
        contract(table, recipes, samplers, device)
        torch.use_deterministic_algorithms(False)
    if options.only != "contract":
        times(table, recipes, samplers, options.tiny, device)
    failed = ", ".join(table.failed)
    table.add("", f"Failed: {failed}." if failed else "Nothing failed.")
    if options.out:
        options.out.write_text("\n".join(table.lines) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
