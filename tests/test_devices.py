"""Every recipe, sampler and command on the device that stands in for CUDA, and its rules."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zspace
from tests.conftest import Cli, small
from tests.cuda import OnCuda
from tests.papers.trial import trial_of
from tests.samplers.shared import made, two_clouds
from tests.test_contract import FIRST
from zspace import papers
from zspace.core import Density
from zspace.functional import integral
from zspace.functional.tensors import doubled
from zspace.generation import gallery, maps
from zspace.recipes import RECIPES
from zspace.recipes.catalogue import SAMPLERS
from zspace.samplers import Learned, continuous_flow, implicit
from zspace.training import adam, descend

MIXED = "Expected all tensors to be on the same device"


def here(*shape: int) -> Tensor:
    return torch.rand(*shape, device="cuda")


REFUSED: dict[str, tuple[type[Exception], str, Callable[[], object]]] = {
    "a sum": (RuntimeError, MIXED, lambda: here(3, 4) + torch.ones(3, 4)),
    "a sum in place": (RuntimeError, MIXED, lambda: here(3).add_(torch.ones(3))),
    "a CPU tensor changed in place": (RuntimeError, MIXED, lambda: torch.ones(3).add_(here(3))),
    "a CPU scalar changed in place": (RuntimeError, MIXED, lambda: torch.ones(()).add_(here(1)[0])),
    "a CUDA scalar and a CPU tensor": (RuntimeError, MIXED, lambda: here(1)[0] + torch.ones(3)),
    "a product": (RuntimeError, MIXED, lambda: torch.ones(2, 3) @ here(3, 4)),
    "a layer": (RuntimeError, MIXED, lambda: nn.Linear(3, 2)(here(4, 3))),
    "a convolution": (
        RuntimeError,
        MIXED,
        lambda: F.conv2d(here(1, 1, 4, 4), torch.ones(1, 1, 2, 2)),
    ),
    "a list": (RuntimeError, MIXED, lambda: torch.cat([here(3), torch.ones(3)])),
    "a list of scalars": (RuntimeError, MIXED, lambda: torch.stack([here(1)[0], torch.ones(())])),
    "a mask": (RuntimeError, MIXED, lambda: here(3).masked_fill(torch.ones(3) > 0, 1.0)),
    "an embedding": (RuntimeError, MIXED, lambda: F.embedding(torch.arange(3), here(5, 2))),
    "labels of a loss": (RuntimeError, MIXED, lambda: F.cross_entropy(here(3, 4), torch.arange(3))),
    "CUDA indices of a CPU tensor": (
        RuntimeError,
        "indices should be either on cpu",
        lambda: torch.ones(3)[torch.arange(2, device="cuda")],
    ),
    "a CUDA mask of a CPU tensor": (
        RuntimeError,
        "indices should be either on cpu",
        lambda: torch.ones(3)[here(3) > 0],
    ),
    "other values at indices": (
        RuntimeError,
        MIXED,
        lambda: here(3).index_put_((torch.arange(2),), torch.ones(2)),
    ),
    "a CPU generator of CUDA noise": (
        RuntimeError,
        "Expected a 'cuda' device type for generator but found 'cpu'",
        lambda: torch.randn(3, device="cuda", generator=torch.Generator()),
    ),
    "a CUDA generator of CPU noise": (
        RuntimeError,
        "Expected a 'cpu' device type for generator but found 'cuda'",
        lambda: torch.randn(3, generator=torch.Generator("cuda")),
    ),
    "a CPU generator of a CUDA choice": (
        RuntimeError,
        "Expected a 'cuda' device type for generator but found 'cpu'",
        lambda: torch.multinomial(here(4), 2, generator=torch.Generator()),
    ),
    "a CPU generator in place": (
        RuntimeError,
        "Expected a 'cuda' device type for generator but found 'cpu'",
        lambda: here(3).normal_(generator=torch.Generator()),
    ),
    "NumPy": (
        TypeError,
        "can't convert cuda:0 device type tensor to numpy",
        lambda: here(3).numpy(),
    ),
    "an array": (TypeError, "can't convert cuda:0", lambda: np.asarray(here(3))),
}


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(what: str) -> None:
    error, message, mix = REFUSED[what]
    with pytest.raises(error, match=message):
        mix()


ALLOWED: dict[str, Callable[[], Tensor]] = {
    "a CPU scalar": lambda: here(3) * torch.tensor(2.0),
    "a number": lambda: here(3) * 2,
    "CPU indices": lambda: here(3)[torch.arange(2)],
    "a CPU mask": lambda: here(3)[torch.ones(3) > 0],
    "CPU indices in place": lambda: here(3).index_put_((torch.arange(2),), here(2)),
    "a copy from the CPU": lambda: here(3).copy_(torch.ones(3)),
    "moved": lambda: torch.ones(3).to("cuda"),
    "moved to another": lambda: torch.ones(3).to(here(1)),
    "moved there and back": lambda: here(3).cpu().cuda(),
    "like another": lambda: torch.zeros_like(here(3)),
    "like another, there": lambda: torch.zeros_like(torch.ones(3), device="cuda"),
    "new": lambda: here(3).new_zeros(2),
    "made within an operation": lambda: F.one_hot(torch.arange(3, device="cuda"), 5),
    "noise": lambda: torch.randn(3, device="cuda", generator=torch.Generator("cuda")),
    "read as a number": lambda: torch.full((1,), here(1).item(), device="cuda"),
}


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("what", ALLOWED)
def test_what_is_allowed_and_lies_there(what: str) -> None:
    x = ALLOWED[what]()
    assert isinstance(x, OnCuda)
    assert x.device == torch.device("cuda", 0)
    assert x.is_cuda
    back = x.cpu()
    assert not isinstance(back, OnCuda)
    assert back.device == torch.device("cpu")
    assert x.tolist() == back.tolist()


def test_one_that_has_no_float64(without_float64: torch.device) -> None:
    x = here(3)
    for wide in (lambda: x.double(), lambda: torch.ones(3, dtype=torch.float64).to(x.device)):
        with pytest.raises(TypeError, match="float64"):
            wide()
    assert torch.ones(3, dtype=torch.float64).to(x).dtype == torch.float32
    assert doubled(x).device.type == "cpu"
    assert torch.equal(doubled(x), x.cpu().double())


def test_it_computes_what_the_cpu_computes(cuda: torch.device) -> None:
    """Networks, gradients, updates and forward-mode derivatives."""

    def trained(device: torch.device) -> list[Tensor]:
        torch.manual_seed(3)
        net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))
        optimizer = adam(net.to(device).parameters(), 1e-2)
        x = torch.linspace(0, 1, 80).reshape(5, 1, 4, 4).to(device)
        for _ in range(3):
            descend(optimizer, {"loss": net(x).square().mean()})
        slope = torch.func.vmap(lambda d: torch.func.jvp(net.eval(), (x,), (d.expand_as(x),))[1])
        return [*net.parameters(), slope(torch.eye(16, device=device).reshape(16, 1, 4, 4))]

    for ours, theirs in zip(trained(cuda), trained(torch.device("cpu")), strict=True):
        assert isinstance(ours, OnCuda)
        torch.testing.assert_close(ours.cpu(), theirs)


def test_gradients_go_through_a_move(cuda: torch.device) -> None:
    w = torch.ones(3, requires_grad=True)
    (w.to(cuda) * torch.arange(3.0, device=cuda)).sum().backward()
    assert w.grad is not None
    assert w.grad.tolist() == [0, 1, 2]
    assert not isinstance(w.grad, OnCuda)


def test_its_default_generator_is_its_own(cuda: torch.device) -> None:
    torch.manual_seed(0)
    cpu = torch.rand(3)
    torch.manual_seed(0)
    state = torch.cuda.get_rng_state(cuda)
    drawn = [torch.rand(3, device=cuda), here(3).bernoulli_(), F.dropout(here(40))]
    assert torch.equal(torch.rand(3), cpu), "drawing on CUDA leaves the CPU's generator alone"
    torch.cuda.set_rng_state(state, cuda)
    again = [torch.rand(3, device=cuda), here(3).bernoulli_(), F.dropout(here(40))]
    assert all(torch.equal(a, b) for a, b in zip(drawn, again, strict=True))


def quickly(names: Any, quick: tuple[str, ...]) -> Any:
    """All names as parameters, of which all but a few are slow."""
    return [pytest.param(n, marks=[] if n in quick else pytest.mark.slow) for n in names]


@pytest.mark.parametrize("name", quickly(RECIPES, ("vae", "flexae-sr")))
def test_every_recipe(
    name: str, cuda: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained, stopped within a stage, resumed exactly, and used."""
    monkeypatch.setattr(implicit, "STEPS", 3)
    out = tmp_path / "run"
    stages = dict.fromkeys(FIRST.get(name, {}), 1)
    options = {**small(name), **stages, "checkpoint_every": 1, "keep": 0}
    whole = zspace.train(name, "digits", out=out, iterations=3, device="cuda", **options)
    for path in [out / "model.safetensors", *sorted((out / "checkpoints").iterdir())[2:]]:
        path.unlink()
    torch.manual_seed(99)
    model = zspace.resume(out)
    assert all(isinstance(value, OnCuda) for value in model.state_dict().values())
    for (key, a), (_, b) in zip(
        whole.state_dict().items(), model.state_dict().items(), strict=True
    ):
        assert torch.equal(a, b), key
    loaded = zspace.load(out, device="cuda")
    x = torch.rand(4, 1, 8, 8, device=cuda)
    for result in (
        loaded.decode(loaded.encode(x)),
        loaded.reconstruct(x),
        loaded.interpolate(x[:2], x[2:], 3),
        *([] if loaded.prior is None else [loaded.sample(2, generator=torch.Generator(cuda))]),
    ):
        assert isinstance(result, OnCuda)
    for sampler in loaded.samplers().values():
        assert isinstance(sampler.sample(2), OnCuda)


def test_a_transform_sees_the_images(cuda: torch.device) -> None:
    """With labels, which lie on the device, where the images of a transform do not."""
    seen: list[torch.Tensor] = []

    def noted(image: torch.Tensor) -> torch.Tensor:
        seen.append(image)
        return 1 - image

    for device in ("cpu", "cuda"):
        zspace.train("ae", "digits", iterations=2, device=device, transform=noted, **small("ae"))
    cpu, near = torch.stack(seen).chunk(2)
    assert torch.equal(cpu, near)
    assert cpu.shape[1:] == (1, 8, 8)


@pytest.mark.parametrize("name", quickly(SAMPLERS, ("mixture", "convex", "flow-matching")))
@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_every_sampler(
    name: str, where: str, cuda: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_sampler(name, where, cuda, monkeypatch)


@pytest.mark.parametrize("name", quickly(SAMPLERS, ("mixture", "convex")))
def test_no_sampler_needs_float64(
    name: str, without_float64: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_sampler(name, "cuda", without_float64, monkeypatch)


def test_the_adaptive_solver_needs_no_float64(without_float64: torch.device) -> None:
    x = torch.rand(4, 2, device=without_float64)
    end = integral(lambda x, t: -x, x, 0, 1, 1, "adaptive")
    assert isinstance(end, OnCuda)
    torch.testing.assert_close(end.cpu(), x.cpu() * math.exp(-1), rtol=1e-4, atol=1e-4)


def use_sampler(name: str, where: str, cuda: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit a sampler to codes on either device with labels on either, then use it on CUDA."""
    monkeypatch.setattr(continuous_flow, "DENSITY_STEPS", 1)
    z, y = two_clouds(400)
    generator = torch.Generator(cuda)
    for labels in (y, y.to(cuda)):
        sampler = made(name, 2)
        if isinstance(sampler, Learned):
            sampler.iterations = 3
        sampler = sampler.fit(z.to(where), labels)
        if where == "cpu":
            sampler.to(cuda)
        assert isinstance(sampler.sample(5, generator=generator), OnCuda)
        if sampler.by_label and sampler.labels:
            assert isinstance(sampler.sample(5, 1, generator=generator), OnCuda)
    if isinstance(sampler, Density):
        assert isinstance(sampler.log_prob(z[:5].to(cuda)), OnCuda)
    if sampler.exportable:
        label = torch.tensor([1], device=cuda) if sampler.labels else None
        noise = torch.randn(5, sampler.noise_dim, device=cuda)
        assert isinstance(sampler.of_noise(noise, label), OnCuda)


@pytest.fixture(scope="module")
def on_cpu(
    runs: dict[str, Path], rendered_runs: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Small runs that were trained on the CPU, which tests copy."""
    cvae = tmp_path_factory.mktemp("devices") / "cvae"
    zspace.train("cvae", "digits", out=cvae, iterations=4, device="cpu", **small("cvae"))
    return {**runs, "lsrgan": rendered_runs / "lsrgan", "cvae": cvae}


ON = ["--device", "cuda", "--quiet"]
LEARNING = ["--iterations", "3", "--batch-size", "32"]
STEPS = "all/steps"
COMMANDS: dict[str, tuple[str, list[str]]] = {
    **{
        f"fit-sampler {name}": (
            "ae",
            [
                "fit-sampler {run} --sampler",
                name,
                *(LEARNING if issubclass(kind, Learned) else []),
                *(["--theta", "0.5,0.5,0.5"] if name.startswith("medium") else []),
            ],
        )
        for name, kind in SAMPLERS.items()
    },
    "sample": ("vae", ["sample {run} --n 4 --out {out}.png"]),
    "sample a label": ("cvae", ["sample {run} --n 4 --label 3 --out {out}.png"]),
    "sample by a fit": ("ae", ["sample {run} --n 4 --sampler kde --out {out}.npz"]),
    "sample combinations": (
        "regene",
        [
            "sample {run} --n 4 --sampler convex --label 3 --generations 2",
            "--weights dirichlet --out {out}.png",
        ],
    ),
    "encode": ("vae", ["encode {run} --out {out}.npz"]),
    "decode": ("vae", ["decode {run} {codes} --out {out}.npz"]),
    "reconstruct": ("vae", ["reconstruct {run} --n 4 --out {out}.png"]),
    "interpolate": ("vae", ["interpolate {run} --out {out}.png"]),
    "imagine": ("lsrgan", ["imagine {run} --out {out}.png"]),
    "evaluate": ("vae", ["evaluate {run} --n 60 --samplers prior,normal"]),
    "compare": ("vae", ["compare {run} --n 60"]),
    "diagnose": ("vae", ["diagnose {run} --n 60"]),
    "report": ("vae", ["report {run} --n 60"]),
    "neighbours": ("vae", ["neighbours {run} --out {out}.png"]),
    "novelty": ("gen", ["novelty {run} --out {out}.csv"]),
    "augment": ("ae", ["augment {run} --per-class 3 --out {out}.npz"]),
    **{
        f"gallery {kind}": (
            "regene",
            [
                f"gallery {{run}} {kind} --out {{out}}.png",
                *(["--label 1,7"] if kind in gallery.SHEETS else []),
                *(["--most-trials 1000"] if kind == "closest-generations" else []),
            ],
        )
        for kind in (*gallery.SHEETS, *maps.MAPS)
    },
    "tune": ("ae", ["tune {run} --sampler medium1 --trials 2 --samples 20"]),
    "export": ("ae", ["export {run} --sampler normal --out {out}.onnx"]),
    "classifier": ("", ["classifier --data digits"]),
    "reproduce": ("", [f"reproduce {STEPS} --scale trial --data digits --out {{out}}"]),
    "bandwidth": ("", ["bandwidth --dim 2 --samples 30 --trials 2"]),
    "train": ("", ["train vae --iterations 2 --latent-dim 3 --batch-size 16 --out {out}"]),
    "resume": ("vae", ["resume {run} --iterations 22"]),
}
NO_DEVICE = ("export", "bandwidth", "resume")
QUICK_COMMANDS = ("sample", "decode", "train")


@pytest.mark.usefixtures("cuda")
@pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")
@pytest.mark.parametrize("what", quickly(COMMANDS, QUICK_COMMANDS))
def test_every_command(
    what: str, on_cpu: dict[str, Path], cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_command(what, on_cpu, cli, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.usefixtures("without_float64")
@pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")
@pytest.mark.parametrize("what", ["evaluate", "diagnose", "novelty", "tune"])
def test_no_command_needs_float64(
    what: str, on_cpu: dict[str, Path], cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_command(what, on_cpu, cli, tmp_path, monkeypatch)


def use_command(
    what: str, on_cpu: dict[str, Path], cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(papers.EXPERIMENTS, STEPS, trial_of(papers.find(STEPS)))
    model, words = COMMANDS[what]
    places = {"run": tmp_path / "run", "out": tmp_path / "out", "codes": tmp_path / "codes.npy"}
    if model:
        shutil.copytree(on_cpu[model], places["run"])
    np.save(places["codes"], np.zeros((3, 3), np.float32))
    command = [word.format(**places) for part in words for word in part.split()]
    more = ON if what not in NO_DEVICE else ["--quiet"]
    status, _, err = cli(*command, *more)
    assert status == 0, err
