"""FlexAE against a plain transcription of Algorithm 1, and its networks against the tables."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam

from zspace.core import Batches
from zspace.methods.flexae import FlexAE
from zspace.nets.flexae import FlexAENets
from zspace.recipes import RECIPES, Facts
from zspace.training import fit


class DoubleBatches(Batches):
    """The same draws in float64, in which two ways to compute the same thing agree closely."""

    def __next__(self) -> tuple[Tensor, Tensor | None]:
        x, y = super().__next__()
        return x.double(), y

    def normal(self, *shape: int) -> Tensor:
        return super().normal(*shape).double()

    def uniform(self, *shape: int) -> Tensor:
        return super().uniform(*shape).double()


def draws(shape: tuple[int, ...]) -> DoubleBatches:
    x = torch.randint(0, 256, (40, *shape), generator=torch.Generator().manual_seed(0))
    return DoubleBatches(x.to(torch.uint8), size=6, seed=1, replacement=True)


def transcribe(model: FlexAE, batches: Batches, iterations: int) -> None:
    """Algorithm 1, line by line: PyTorch's plain Adam, `zero_grad`, `backward`, nothing reused."""
    e, d, g, c_z, c_x = (
        model.encoder,
        model.decoder,
        model.prior.generator,
        model.latent_critic,
        model.image_critic,
    )
    autoencoder = [*e.parameters(), *d.parameters()]

    def plain(parameters: object, rate: float, betas: tuple[float, float]) -> Adam:
        return Adam(list(parameters), lr=rate, betas=betas, fused=False, foreach=False)  # type: ignore[call-overload]

    ae_opt = plain(autoencoder, 0.0002, (0.9, 0.999))
    critic_opt = plain(c_z.parameters(), 0.0001, (0.0, 0.9))
    gen_opt = plain(g.parameters(), 0.0001, (0.0, 0.9))
    enc_opt = plain(e.parameters(), 0.00001, (0.0, 0.9))
    if c_x is not None:
        reg_opt = plain(c_x.parameters(), 0.0002, (0.5, 0.9))
        ae_reg_opt = plain(autoencoder, 0.0002, (0.5, 0.9))

    def minimise(optimizer: Adam, loss: Tensor) -> None:
        model.zero_grad()
        loss.backward()
        optimizer.step()

    def critic_loss(critic: nn.Module, real: Tensor, fake: Tensor, a: Tensor) -> Tensor:
        a = a.view(-1, *[1] * (real.ndim - 1))
        u = (a * real + (1 - a) * fake).detach().requires_grad_()
        slope = torch.autograd.grad(critic(u).sum(), u, create_graph=True)[0]
        norms = torch.stack([s.norm() for s in slope])
        wasserstein = critic(fake.detach()).mean() - critic(real.detach()).mean()
        return wasserstein + 10 * ((norms - 1) ** 2).mean()

    for _ in range(iterations):
        x = next(batches)[0]
        minimise(ae_opt, ((x - d(e(x))) ** 2).sum() / len(x))
        for _ in range(5):
            x = next(batches)[0]
            n = batches.normal(model.latent_dim)
            if c_x is not None:
                w = next(batches)[0]
                gamma = batches.uniform(1)
            minimise(critic_opt, critic_loss(c_z, e(x), g(n), batches.uniform(1)))
            if c_x is not None:
                x_inp = d(gamma * e(x) + (1 - gamma) * e(w))
                minimise(reg_opt, critic_loss(c_x, x, x_inp, batches.uniform(1)))
        if c_x is not None:
            minimise(ae_reg_opt, -c_x(d(gamma * e(x) + (1 - gamma) * e(w))).mean())
        minimise(gen_opt, -c_z(g(n)).mean())
        minimise(enc_opt, c_z(e(x)).mean())


@pytest.mark.parametrize("name", ["flexae", "flexae-sr"])
def test_weights_follow_algorithm_1(name: str) -> None:
    torch.manual_seed(0)
    options = {"width": 3, "hidden": 12, "latent_dim": 4, "batch_size": 6}
    ours = RECIPES[name](Facts((2, 8, 12)), **options).model.double()  # type: ignore[call-arg]
    assert isinstance(ours, FlexAE)
    start = copy.deepcopy(ours.state_dict())
    theirs = copy.deepcopy(ours).train()
    ours.to(memory_format=torch.channels_last)
    fit(ours, draws((2, 8, 12)), 3)
    transcribe(theirs, draws((2, 8, 12)), 3)
    a, b = dict(ours.named_parameters()), dict(theirs.named_parameters())
    for key, value in a.items():
        if key.endswith("bias") and (value - b[key]).abs().max() > 1e-8:
            # a shift that batch norm takes out again has no gradient but rounding's, which Adam
            # scales up: such a bias must at least stay within its steps
            assert key in cancelled(ours), key
            continue
        torch.testing.assert_close(value, b[key], rtol=0, atol=1e-8, msg=key)
        if key not in ("latent_critic.8.bias", "image_critic.7.bias"):  # without a gradient
            assert not torch.equal(value, start[key]), f"{key} never moved"


def cancelled(model: FlexAE) -> set[str]:
    """The biases that a batch norm behind them takes out: those just before one, and E's last,
    behind which D begins with a linear layer and a batch norm."""
    found = set()
    for name, net in (("encoder", model.encoder), ("decoder", model.decoder)):
        assert isinstance(net, nn.Sequential)
        for i, (layer, after) in enumerate(zip(net, [*net][1:], strict=False)):
            if isinstance(after, nn.BatchNorm1d | nn.BatchNorm2d) and hasattr(layer, "bias"):
                found.add(f"{name}.{i}.bias")
    return found | {f"encoder.{len(model.encoder) - 1}.bias"}  # type: ignore[arg-type]


def shapes(net: nn.Sequential) -> list[str]:
    """A network as the papers write it."""
    words = []
    for layer in net:
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            kind = "conv" if isinstance(layer, nn.Conv2d) else "tconv"
            words.append(f"{kind} {layer.out_channels},{layer.kernel_size[0]},{layer.stride[0]}")
        elif isinstance(layer, nn.Linear):
            words.append(f"fc {layer.out_features}")
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            words.append("bn")
        elif not isinstance(layer, nn.Unflatten | nn.Flatten | nn.ZeroPad2d):
            words.append(type(layer).__name__.lower())
    return words


def test_networks_are_those_of_tables_7_and_8() -> None:
    nets = FlexAENets((3, 32, 32), 64)
    down = "conv 64,4,2 relu conv 128,4,2 {}relu fc 1024 {}relu fc {}"
    assert " ".join(shapes(nets.encoder())) == down.format("bn ", "bn ", 64)
    assert " ".join(shapes(nets.image_critic())) == down.format("", "", 1)
    assert " ".join(shapes(nets.decoder())) == (
        "fc 1024 bn relu fc 8192 bn relu tconv 128,4,2 bn relu tconv 64,4,2 bn elu "
        "conv 3,4,1 sigmoid"
    )
    assert " ".join(shapes(nets.generator())) == "fc 1024 relu " * 4 + "fc 64"
    assert " ".join(shapes(nets.latent_critic())) == "fc 1024 relu " * 4 + "fc 1"


def test_networks_are_those_of_table_6() -> None:
    nets = FlexAENets((128,), 50, hidden=128)
    assert shapes(nets.encoder()) == ["fc 128", "relu", "fc 50"]
    assert shapes(nets.decoder()) == ["fc 128", "tanh"]
    assert shapes(nets.generator()) == ["fc 128", "relu", "fc 50"]
    assert shapes(nets.latent_critic()) == ["fc 128", "relu", "fc 128", "relu", "fc 1"]


def test_the_codes_variant_of_the_decoder() -> None:
    nets = FlexAENets((1, 28, 28), 20, last_activation="relu", last_kernel=3)
    assert shapes(nets.decoder())[-4:] == ["bn", "relu", "conv 1,3,1", "sigmoid"]


def test_initialisation_is_glorots() -> None:
    """Uniform: never beyond sqrt(6 / (in + out)); normal: of deviation sqrt(2 / (in + out))."""
    torch.manual_seed(0)
    nets = FlexAENets((3, 16, 16), 32, hidden=256)
    cases = {
        "uniform": [nets.encoder()[-1], nets.encoder()[2], nets.image_critic()[-1]],
        "normal": [
            nets.decoder()[3],
            nets.decoder()[7],
            nets.generator()[2],
            nets.latent_critic()[2],
            FlexAENets((128,), 50, hidden=128).decoder()[0],
        ],
    }
    for kind, layers in cases.items():
        for layer in layers:
            weight = layer.weight
            fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(weight)
            deviation = (2 / (fan_in + fan_out)) ** 0.5
            if weight.numel() > 1000:
                assert weight.std().item() == pytest.approx(deviation, rel=0.05)
            beyond = bool(weight.abs().max() > 3**0.5 * deviation * 1.0001)
            assert beyond == (kind == "normal")
            assert not layer.bias.any()
