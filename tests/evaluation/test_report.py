"""The report in one page, also in a browser."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.browser import opened
from tests.conftest import Cli, Refused, width
from zspace.evaluation import report
from zspace.generation.maps import latent_map, tsne

pytestmark = pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")


QUICK = ["--device=cpu", "--quiet"]


@pytest.fixture(scope="session")
def page(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "vae"
    shutil.copytree(runs["vae"], folder)
    from click.testing import CliRunner

    from zspace.cli.base import cli as commands

    done = CliRunner().invoke(commands, ["report", str(folder), *QUICK])
    assert done.exit_code == 0, done.output
    return folder / "report.html"


def test_the_report_holds_everything(page: Path) -> None:
    text = page.read_text()
    for part in (
        "Figures",
        "Diagnosis",
        "Pictures",
        "Configuration",
        "recipe: vae",
        "fid (",
        "losses of the training",
        "samples: prior",
        "reconstructions",
        "line of codes",
        "nearest training images",
        "codes of test images",
    ):
        assert part in text, part
    assert text.count("data:image/png;base64,") == 6
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    assert "http" not in text.replace("http-equiv", "")


@pytest.mark.slow
def test_the_report_in_a_browser(page: Path, tmp_path: Path) -> None:
    """Every picture shows, and nothing is asked for: without the policy that would forbid it."""
    probe = """<script>addEventListener("load", () => {
      const asked = performance.getEntriesByType("resource").map(e => e.name)
        .filter(n => !n.startsWith("data:"));
      document.title = "widths " + [...document.images].map(i => i.naturalWidth).join(",")
        + " asked " + asked.length;
    });</script></body>"""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    copy = tmp_path / "copy.html"
    copy.write_text(text.replace("</body>", probe))
    log = tmp_path / "net.json"
    done = opened(copy.as_uri(), tmp_path / "profile", f"--log-net-log={log}")
    title = re.search(r"<title>widths ([\d,]+) asked (\d+)</title>", done.stdout)
    assert title, done.stderr[-2000:]
    widths = [int(w) for w in title[1].split(",")]
    assert len(widths) == 6
    assert min(widths) > 50
    assert title[2] == "0"
    assert copy.name in log.read_text()


def test_pca_maps_and_planes() -> None:
    z = torch.randn(60, 5)
    assert latent_map(z, "pca").shape == (60, 2)
    np.testing.assert_allclose(latent_map(z[:, :2]), z[:, :2], rtol=1e-6)
    assert latent_map(z[:, :1]).shape == (60, 2)


@pytest.mark.parametrize("z", [torch.ones(30, 5), torch.randn(30, 1), torch.zeros(12, 2)])
def test_codes_of_one_number_or_all_equal_have_a_map(z: torch.Tensor, tmp_path: Path) -> None:
    y = torch.arange(len(z)) % 2
    tsne(tmp_path / "map.png", {"codes": (z, y)}, ["a", "b"])
    assert width(tmp_path / "map.png") > 50


def test_points_of_an_unknown_label_are_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named: list[str] = []
    monkeypatch.setattr(report.plots, "entry", lambda name: named.append(name) or name)
    labels = torch.tensor([0, 1, -1, -1])
    report._map(tmp_path / "map.png", np.zeros((4, 2)), labels, ["cat", "dog"])
    assert named == ["unknown", "cat", "dog"]


class Program(torch.nn.Module):
    """A feature network that writes a file, as TorchScript can."""

    def __init__(self, mark: Path) -> None:
        super().__init__()
        self.mark = str(mark)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mark = torch.from_file(self.mark, shared=True, size=1, dtype=torch.float32).fill_(1.0)
        return x.flatten(1) * mark


def test_a_received_evaluation_can_not_name_a_program(
    runs: dict[str, Path], cli: Cli, refused: Refused, tmp_path: Path
) -> None:
    run, mark, net = tmp_path / "run", tmp_path / "written", tmp_path / "x.pt"
    shutil.copytree(runs["vae"], run)
    torch.jit.script(Program(mark)).save(str(net))
    features = f"--features=file:{net}"
    for command in ("evaluate", "report", "compare", "diagnose"):
        message = refused(command, run, features, "--n=20", *QUICK)
        assert "x.pt is no .onnx file: a TorchScript file is a program" in message
        assert "add --trust" in message
    assert "is a program" in refused(
        "neighbours", run, features, "--out", tmp_path / "n.png", *QUICK
    )
    assert not mark.exists()
    assert cli("evaluate", run, features, "--trust", "--n=20", *QUICK)[0] == 0
    assert mark.exists()  # whoever trusts it runs it
    mark.unlink()
    stored = json.loads((run / "evaluation.json").read_text())
    assert stored["features_asked"] == f"file:{net}"
    for more in ([], ["--trust"], ["--n=20"]):
        message = refused("report", run, *more, *QUICK)
        assert "made with the network in a file: name it by --features file:PATH" in message
    assert cli("compare", run, "--quiet")[0] == 0  # shows what is stored
    assert not mark.exists()
    assert cli("report", run, features, "--trust", *QUICK)[0] == 0
