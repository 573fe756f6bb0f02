"""Convex combinations of the codes of one class (ReGene, section 3.3)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Annotated, Any, Self

import numpy as np
import torch
from torch import Tensor

from zspace.core import Judge, Progress, Sampler
from zspace.core.given import MOST_CLASSES
from zspace.errors import InputError, ModelError
from zspace.functional.tensors import BLOCK
from zspace.options import About
from zspace.samplers.normal import check_codes


class TooFewError(ModelError):
    """Fewer combinations of a class's codes than wanted passed the judges.

    Attributes:
        trials: for each judge the number of candidates until as many as wanted had passed it, or of
            all candidates if fewer did: a lower bound.
    """

    def __init__(self, message: str, trials: Mapping[str, int]) -> None:
        super().__init__(message)
        self.trials = trials


class ExhaustedError(TooFewError):
    """Every combination of a class's codes has been tried."""


CANDIDATES = 256
"""The number of combinations that are judged at a time."""


@dataclass(frozen=True)
class Combined:
    """Combined codes of one class that passed every judge.

    Attributes:
        codes: the codes (n, D).
        sources: the rows (n, k) of the codes that each was combined from.
        weights: the weights (n, k), at least 0, with a sum of 1 in each row.
        trials: for each judge, the number of candidates until n had passed it and all judges
            before it (ReGene, Table 2: `latent space` and `image space`).
    """

    codes: Tensor
    sources: Tensor
    weights: Tensor
    trials: Mapping[str, int]

    @property
    def drawn(self) -> int:
        """The number of all candidates: the last judge's trials, or n without judges."""
        return max(self.trials.values(), default=len(self.codes))


def joined(parts: Sequence[Combined]) -> Combined:
    """The whole of which `Convex.blocks` gives the parts."""
    return Combined(
        torch.cat([part.codes for part in parts]),
        torch.cat([part.sources for part in parts]),
        torch.cat([part.weights for part in parts]),
        parts[-1].trials,
    )


class Convex(Sampler):
    """Convex combinations of the codes of k different images of one class.

        z = sum_i w_i z_i,  w_i >= 0 and sum_i w_i = 1

    A half-space that contains all z_i contains z (Lemma 1): if a linear layer assigns all z_i to
    the class, it assigns z to it, too. A candidate must also pass the `judges`, callables by name,
    one after the other. Unless weights are drawn at random, no combination occurs twice.

    Before it is fitted it has no codes; fitting stores the codes and labels.

    Args:
        dim: D, the size of a code; None takes it from the codes that it is fitted to.
        combine: k; None means as many as there are weights, or 2.
        weights: "uniform" (1/k each), "dirichlet" (drawn for each combination), or k numbers.
        concentration: the parameter of the symmetric Dirichlet distribution; 1 is uniform on the
            simplex.
        most_trials: the number of candidates for each wanted code after which drawing is given up.
        sources: the number of codes to keep, chosen at random; None keeps all.
        seed: the seed of that choice.

    Raises:
        InputError: the weights are not k numbers above 0 with a sum of 1.

    Reference: Gopalakrishnan et al., ReGene (2021), Lemma 1 and section 6.2.
    """

    by_label = True
    varying = "codes", "owners", "rows"
    drawing = "combine", "weights", "concentration", "most_trials"
    codes: Tensor
    owners: Tensor
    rows: Tensor

    def __init__(
        self,
        dim: int | None = None,
        *,
        combine: Annotated[
            int | None,
            About(
                "number of codes to combine (unset: as many as weights, or 2)", least=2, most=10_000
            ),
        ] = None,
        weights: Annotated[
            str,
            About(
                "weights of the codes: uniform, dirichlet, or numbers, separated by commas, that "
                "sum to 1"
            ),
        ] = "uniform",
        concentration: Annotated[
            float,
            About(
                "parameter of the Dirichlet distribution of weights",
                above=0,
                most=1e6,
                of={"weights": ("dirichlet",)},
            ),
        ] = 1.0,
        most_trials: Annotated[
            int, About("candidates for each wanted code before drawing is given up", least=1)
        ] = 100,
        sources: Annotated[
            int | None,
            About(
                "number of training codes to keep, chosen at random (unset: all)",
                least=2,
                most=10_000_000,
            ),
        ] = None,
        seed: Annotated[
            int, About("seed of the choice of training codes", least=0, most=1 << 52)
        ] = 0,
    ) -> None:
        super().__init__()
        self.given = _given(weights)
        self.combine = combine or (2 if self.given is None else len(self.given))
        if self.given is not None and len(self.given) != self.combine:
            raise InputError(
                f"--weights has {len(self.given)} numbers, --combine is {self.combine}: give as "
                "many weights as codes are combined"
            )
        if self.combine < 2:
            raise InputError(f"--weights {weights} has one number: 2 codes or more are combined")
        # the order of the codes matters only between different weights
        equal = self.given or (1.0,) * self.combine
        self.groups = [[i for i, w in enumerate(equal) if w == own] for own in sorted(set(equal))]
        self.concentration = concentration if weights == "dirichlet" else None
        self.most_trials, self.sources, self.seed = most_trials, sources, seed
        self.judges: Mapping[str, Judge] = {}
        self.what = "image"
        self.of_size(dim)

    def build(self, dim: int) -> None:
        count = self.sources or 0
        self.register_buffer("codes", torch.zeros(count, dim))
        self.register_buffer("owners", torch.zeros(count, dtype=torch.int64))
        self.register_buffer("rows", torch.zeros(count, dtype=torch.int64))

    def fault(self) -> str | None:
        known = (self.owners >= 0) & (self.owners < MOST_CLASSES)
        return None if bool(known.all()) else "labels are out of range"

    @property
    def labels(self) -> int:
        return max(len(self.names), int(self.owners.max()) + 1 if len(self.owners) else 0)

    def learned(self) -> list[int]:
        return self._enough().nonzero()[:, 0].tolist()

    def _enough(self) -> Tensor:
        """Whether each label has codes enough to combine, (L,)."""
        return torch.bincount(self.owners) >= self.combine

    def fit_to(self, z: Tensor, y: Tensor | None, progress: Progress) -> None:
        """Store the codes (N, D) of images whose labels (N,) are known; -1 stands for unknown."""
        check_codes(z)
        if y is None:
            raise InputError("convex combinations are of codes of one class: the data have none")
        y = y.to(z.device)
        rows = (y >= 0).nonzero()[:, 0]
        if self.sources is not None:
            generator = torch.Generator().manual_seed(self.seed)
            rows = rows[torch.randperm(len(rows), generator=generator)[: self.sources]]
            rows = rows.sort().values
        if len(rows) < 2:
            raise InputError(
                f"convex combinations need 2 codes or more whose labels are known, not {len(rows)}"
            )
        self.codes, self.owners, self.rows = z[rows], y[rows], rows
        self.found = {"sources": len(rows)}

    def with_judges(self, judges: Mapping[str, Judge]) -> Self:
        """This sampler with these judges, which candidates must pass one after the other."""
        self.judges = dict(judges)
        return self

    def changed(self, **options: Any) -> Convex:
        """A sampler of the same codes and judges with other options.

        If `weights` are numbers, they determine how many codes are combined.
        """
        if _given(options.get("weights", "uniform")) is not None:
            options = {"combine": None, **options}
        given: dict[str, Any] = {**self.options, "sources": None, **options}
        other = Convex(self.codes.shape[1], **given)
        other.codes, other.owners, other.rows = self.codes, self.owners, self.rows
        other.what, other.arrays = self.what, self.arrays
        other.found = {"sources": len(self.codes)}
        return other.with_names(self.names).with_judges(self.judges)

    def over(self, z: Tensor, y: Tensor) -> Convex:
        """A sampler with the same options and judges over other codes (N, D) and labels (N,).

        The codes are those of generated images, so that generated images are combined again.
        """
        other = self.changed().fit(z, y)
        other.what = "generated image"
        return other

    def draw(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Codes (n, D) of one label or, without a label, of labels drawn by their shares.

        In the latter case, classes with too few codes to combine are left out.
        """
        if label is not None:
            return self.combined(n, label, generator=generator).codes
        device = self.codes.device
        enough = self._enough()[self.owners].nonzero()[:, 0]
        if not len(enough):
            raise InputError(f"no class has {self.combine} images to combine")
        chosen = torch.randint(len(enough), (n,), generator=generator, device=device)
        y = self.owners[enough[chosen]]
        z = torch.empty(n, self.codes.shape[1], device=device)
        for own in y.unique().tolist():
            z[y == own] = self.combined(int((y == own).sum()), own, generator=generator).codes
        return z

    def combined(self, n: int, label: int, *, generator: torch.Generator | None = None) -> Combined:
        """Codes of a class that passed every judge, with their sources, weights and trials.

        Raises:
            InputError: the label is out of range, its class has too few codes to combine, or fewer
                than n of all combinations, or of `most_trials` * n candidates, passed.
        """
        return joined([*self.blocks(n, label, generator=generator)])

    @torch.no_grad()
    def blocks(
        self, n: int, label: int, *, generator: torch.Generator | None = None
    ) -> Iterator[Combined]:
        """What `combined` returns, in blocks of 256 codes; each has the trials up to then.

        Raises:
            InputError: what `combined` raises, be it after some blocks.
        """
        name = self.name_of(label)
        own = (self.owners == label).nonzero()[:, 0]
        if len(own) < self.combine:
            raise InputError(
                f"{name} has {self._counted(len(own))}: too few to combine {self.combine}"
            )
        passed = dict.fromkeys(self.judges, 0)
        trials: dict[str, int] = {}
        kept: list[Tensor] = []
        given = count = drawn = 0
        seen: set[int] = set()
        possible = self._possible(len(own))
        while given < n:
            if count >= n or (kept and len(kept[0]) >= BLOCK):
                size = min(BLOCK, n - given)
                codes, sources, weights = (part[:size] for part in kept)
                yield Combined(codes, sources, weights, dict(trials))
                given, kept = given + size, [part[size:] for part in kept]
                continue
            room = min(self.most_trials * n - drawn, possible - len(seen))
            if room <= 0:
                kind = ExhaustedError if drawn == possible else TooFewError
                if kept:
                    codes, sources, weights = kept
                    yield Combined(codes, sources, weights, dict(trials))
                message = self._too_few(name, n, drawn, passed, len(own), possible)
                raise kind(message, {judge: trials.get(judge, drawn) for judge in self.judges})
            size = min(CANDIDATES, room, 2 * (n - count) + 8)
            if size == possible - len(seen):  # the last ones are hit seldom
                size = min(CANDIDATES, possible)
            picks = self._draw(len(own), int(size), generator, seen)
            weights = self._weights(len(picks), generator)
            z = (weights[:, :, None] * self.codes[own[picks]]).sum(1)
            good = torch.arange(len(picks), device=z.device)
            for judge, passes in self.judges.items():
                if not len(good):
                    break
                good = good[passes(z[good], label)]
                if passed[judge] < n <= passed[judge] + len(good):
                    trials[judge] = drawn + int(good[n - passed[judge] - 1]) + 1
                passed[judge] += len(good)
            found = [z[good], self.rows[own[picks[good]]], weights[good]]
            kept = [torch.cat(both) for both in zip(kept, found, strict=True)] if kept else found
            count += len(good)
            drawn += len(picks)

    def _draw(
        self, codes: int, size: int, generator: torch.Generator | None, seen: set[int]
    ) -> Tensor:
        """The new ones of `size` candidates (., k), each of k different codes, added to `seen`.

        If weights are drawn at random, candidates may repeat.
        """
        block = max(1, min(size, (1 << 24) // codes))
        chance = torch.rand(block, codes, generator=generator, device=self.codes.device)
        picks = chance.topk(self.combine).indices
        if self.concentration is not None:
            return picks
        new: list[int] = []
        for positions in self.groups:
            picks[:, positions] = picks[:, positions].sort(1).values
        for i, pick in enumerate(picks.tolist()):
            # one number for each combination takes half of the memory of a tuple
            one = reduce(lambda number, row: number * codes + row, pick)
            if one not in seen:
                seen.add(one)
                new.append(i)
        return picks[new]

    def _possible(self, codes: int) -> float:
        if self.concentration is not None:
            return math.inf
        alike = math.prod(math.factorial(len(group)) for group in self.groups)
        return math.perm(codes, self.combine) // alike

    def _counted(self, n: int) -> str:
        return f"{n} {self.what}{'' if n == 1 else 's'}"

    def _weights(self, n: int, generator: torch.Generator | None) -> Tensor:
        shape, device = (n, self.combine), self.codes.device
        if self.given is not None:
            return torch.tensor(self.given, device=device).expand(shape)
        if self.concentration is None:
            return torch.full(shape, 1 / self.combine, device=device)
        # PyTorch's Dirichlet distribution takes no generator
        seed = int(torch.randint(1 << 62, (), generator=generator, device=device))
        drawn = np.random.default_rng(seed).dirichlet([self.concentration] * self.combine, n)
        return torch.from_numpy(drawn).to(device, torch.float32)

    def _too_few(
        self, name: str, n: int, drawn: int, passed: Mapping[str, int], codes: int, possible: float
    ) -> str:
        judged = ", ".join(f"{count} passed in {judge}" for judge, count in passed.items())
        seen = [drawn, *passed.values()]
        each = zip(passed, seen, strict=False)
        rates = [(passed[judge] / max(1, given), judge) for judge, given in each]
        rate, strictest = min(rates, default=(1.0, ""))
        what = f"{name}: {n} combinations of {self.combine} were wanted, {drawn} tried"
        if drawn == possible:
            why = f"there are no more of its {self._counted(codes)}"
        else:
            why = f"given up after {self.most_trials} for each (--most-trials)"
        if rate < 0.5:
            why += f": the judge of the {strictest} passes {rate:.2g} of what it sees"
        elif drawn == possible:
            why += " (--weights dirichlet has no such end)"
        return f"{what}, {judged}; {why}" if judged else f"{what}; {why}"


def _given(weights: str) -> tuple[float, ...] | None:
    """The weights that an option gives as numbers, or None if it names them."""
    if weights in ("uniform", "dirichlet"):
        return None
    try:
        numbers = tuple(float(w) for w in weights.split(","))
    except ValueError:
        raise InputError(
            f"--weights must be uniform, dirichlet or numbers with commas between, not '{weights}'"
        ) from None
    if not all(0 < w <= 1 for w in numbers) or abs(sum(numbers) - 1) > 1e-6:
        raise InputError(
            f"--weights must be numbers above 0 that sum to 1, not {weights} (their sum is "
            f"{sum(numbers):g})"
        )
    return numbers
