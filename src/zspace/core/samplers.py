"""`Sampler` and `Density`, the distributions of latent codes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from zspace.core.given import MOST_CLASSES, as_codes, as_labels, check_option, whole_within
from zspace.core.progress import SILENT, Progress, as_progress
from zspace.errors import InputError, unknown
from zspace.options import options_of

Arrays = TypeVar("Arrays", Tensor, np.ndarray[Any, Any])
"""A tensor or a NumPy array; what comes out is of the kind that went in."""


class Sampler(nn.Module, ABC):
    """A distribution of latent codes from which codes can be drawn.

    A sampler that can be fitted is an estimator of codes (N, D), tensors or NumPy arrays:

        FlowMatching().fit(z, y).sample(1000)

    with `log_prob` and `score_samples` if its density is known, `save` and `load`. What `sample`
    and `log_prob` return is of the kind that they were given or fitted to.

    A new sampler that can be fitted to any model's codes and used by every command must define:

    - a constructor `(self, dim=None, *, ...)`, which ends with `self.of_size(dim)`. Its options
      are keywords with a default, such as `width: Annotated[float, About("width", above=0)] = 1.0`
      (`zspace.options.About`), from which the options of the command line, their help and their
      checks follow; the names of the commands' own options (`--n`, `--seed`, `--device`, ...) are
      taken.
    - `build(dim)`, which makes what depends on D, the size of a code. Fitted values are buffers,
      whose shapes follow from D and the constructor's options, since a stored sampler is built
      before its tensors are read.
    - `fit_to(z, y, progress)`, which takes finite or infinite codes (N, D), float32, and labels
      (N,), int64, or None.
    - `draw(n, label, generator=...)`, which returns finite codes (n, D) on the sampler's device,
      all of whose randomness comes from the generator.

    A `Density` adds `log_density`, and a sampler that is `by_label` adds `labels`. One line in
    `zspace.recipes.catalogue.SAMPLERS`, or an entry point of the group `zspace.samplers` in another
    package, makes it known by name; zspace's own names win. The attributes below say what else the
    class can do; commands, help texts and docs read them.

    Attributes:
        by_label: whether it can draw codes of one label, if it was fitted to labelled codes.
        exportable: whether its codes are a function of normal noise (`noise_dim`, `of_noise`),
            which `zspace export` writes to a file.
        jumps: whether its codes jump as the noise changes, a part of which chooses one of several.
        learns: whether it is trained by iterations (`zspace.samplers.Learned`).
        drawing: the names of the options that affect how codes are drawn, but not the fit.
        varying: the names of the buffers whose number of rows depends on the codes.
        dim: D, the size of a code; 0 until the codes say it.
        options: the options that the constructor was given.
        found: values that fitting has found for unset options; stored with the sampler.
        names: the names of the labels (see `with_names`).
        arrays: whether `sample` returns NumPy arrays, since it was fitted to one.
    """

    by_label: ClassVar[bool] = False
    exportable: ClassVar[bool] = False
    jumps: ClassVar[bool] = False
    learns: ClassVar[bool] = False
    drawing: ClassVar[tuple[str, ...]] = ()
    varying: ClassVar[tuple[str, ...]] = ()
    dim: int = 0
    options: Mapping[str, Any]
    found: Mapping[str, Any] = {}
    names: tuple[str, ...] = ()
    arrays: bool = False
    open: bool = False  # whether `fit` finds D

    def __new__(cls, *_: Any, **options: Any) -> Self:
        made = super().__new__(cls)
        known = options_of(cls) if options else {}  # most priors have none
        for name, value in options.items():
            if name in known:
                check_option(known[name], value)
        given = {name: value for name, value in options.items() if name != "dim"}
        object.__setattr__(made, "options", given)  # nn.Module's constructor comes later
        return made

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{type(self).__name__}({options})"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The options that the constructor was given, by which scikit-learn clones estimators."""
        return dict(self.options)

    def of_size(self, dim: int | None) -> None:
        """Build this sampler for codes of `dim` numbers; None leaves that to `fit`."""
        self.open = dim is None
        if dim is not None:
            self.dim = dim
            self.build(dim)

    def build(self, dim: int) -> None:
        """Make the buffers and networks for codes of `dim` numbers."""

    def with_names(self, names: Sequence[str]) -> Self:
        """This sampler, after the names of its labels are set."""
        self.names = tuple(names)
        return self

    @property
    def labels(self) -> int:
        """The number of labels that can be asked for; 0 if the sampler knows none."""
        return len(self.names) if self.by_label else 0

    def learned(self) -> list[int]:
        """The labels whose codes can be drawn, which are those with training images."""
        return list(range(self.labels))

    def name_of(self, label: int) -> str:
        """The name of a label for messages, such as "class 7".

        Raises:
            InputError: the sampler does not know the label.
        """
        if not 0 <= label < self.labels:
            raise InputError(f"label {label} is none of the {self.labels} of these codes")
        return f"class {self.names[label] if label < len(self.names) else label}"

    def changed(self, **drawing: Any) -> Sampler:
        """The same distribution with other options for drawing codes, those in `drawing`."""
        return self

    def quick(self, steps: int = 8) -> Sampler:
        """The same distribution drawn by few steps, to be looked at; itself if it takes none."""
        return self.changed(steps=steps) if "steps" in self.drawing else self

    def fit(
        self,
        z: Tensor | np.ndarray[Any, Any],
        y: Tensor | np.ndarray[Any, Any] | Sequence[Any] | None = None,
        *,
        progress: Progress | Callable[..., object] = SILENT,
    ) -> Self:
        """Fit the sampler anew to codes and, if it uses them, their labels.

        Args:
            z: the codes (N, D), a tensor on any device or an array.
            y: the labels (N,): whole numbers from 0, with -1 for an unknown one, or texts, which
                are numbered in alphabetical order and kept as `names`.
            progress: told how far the fit is, a `zspace.Progress` or a function of (done, total,
                figures). If it raises `StopIteration`, a sampler that is trained by iterations
                ends its training there. Any other error leaves the sampler as it was.

        Returns the sampler itself, on the codes' device.
        Raises:
            InputError: the codes or labels can't be used, or the sampler is trained with a model.
        """
        if type(self).fit_to is Sampler.fit_to:
            raise InputError(f"{type(self).__name__} is learned with its model and fits no codes")
        codes = as_codes(z).detach().float()
        size = codes.shape[1]
        if not self.open and self.dim != size:
            raise InputError(
                f"these codes have {size} numbers each, this sampler is of {self.dim}: leave its "
                "dimension out, and it takes that of the codes"
            )
        labels, names = as_labels(y, len(codes))
        before = {k: copy(v) if isinstance(v, dict | set) else v for k, v in vars(self).items()}
        try:
            self.dim = size
            self.build(size)
            self.names, self.arrays = tuple(names), not isinstance(z, Tensor)
            self.fit_to(codes, labels, as_progress(progress))
        except BaseException as error:
            vars(self).clear()
            vars(self).update(before)
            if isinstance(error, StopIteration):
                raise InputError(
                    f"the fit was stopped, and a {type(self).__name__} is of no use half-way"
                ) from error
            raise
        return self

    def fit_to(self, z: Tensor, y: Tensor | None, progress: Progress) -> None:
        """Fit the sampler, which `build` has just made anew.

        Args:
            z: the codes (N, D), on the device to which the sampler moves.
            y: the labels (N,), int64, -1 being unknown; or None.
            progress: told how far the fit is.

        Raises:
            InputError: the codes or labels can't be used.
        """

    def sample(
        self,
        n: int,
        label: int | str | None = None,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Any:
        """Codes (n, D) drawn from the distribution, an array if it was fitted to one.

        Args:
            n: the number of codes.
            label: the label of the codes, or its name, if the sampler knows labels; None draws all
                labels.
            seed: the seed of the codes; None draws others each time.
            generator: the random generator, on the sampler's device, in place of a seed.

        Raises:
            InputError: the label is unknown, or the sampler was neither fitted nor given a size.
        """
        self._check_built()
        count = whole_within("n", n, 0, MOST_DRAWN)
        if isinstance(label, str):
            if not self.names:
                raise InputError(f"the label '{label}': this sampler was fitted to no named labels")
            if label not in self.names:
                raise unknown("label", label, self.names)
            label = self.names.index(label)
        number = None if label is None else whole_within("label", label, 0, MOST_CLASSES)
        if seed is not None:
            if generator is not None:
                raise InputError("give either a seed or a generator")
            where = next(chain(self.buffers(), self.parameters())).device
            generator = torch.Generator(where).manual_seed(whole_within("seed", seed, 0, 1 << 63))
        with torch.no_grad():
            # none at all is not asked of every sampler
            drawn = self.draw(max(count, 1), number, generator=generator)[:count]
        return drawn.cpu().numpy() if self.arrays else drawn

    def _check_built(self) -> None:
        if self.open and not self.dim:
            raise InputError(
                f"this {type(self).__name__} has seen no codes: call fit(z) first, or give it the "
                "size of a code"
            )

    def _repr_png_(self) -> bytes | None:
        """A cloud of 256 codes, by seed 0, which a notebook shows; None before there are any."""
        if self.open and not self.dim:
            return None
        from zspace.functional.sheets import cloud, png

        return png(cloud(torch.as_tensor(self.quick().sample(256, seed=0))))

    @abstractmethod
    def draw(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Codes (n, D) drawn from the distribution, as `sample` gives them.

        Args:
            n: the number of codes.
            label: the label of the codes, if the sampler knows labels; None draws all labels.
            generator: the random generator, on the sampler's device.

        Raises:
            InputError: the label is unknown.
        """

    @property
    def noise_dim(self) -> int:
        """The number of standard normal numbers that determine a code; 0 if they do not."""
        return 0

    def of_noise(self, noise: Tensor, y: Tensor | None = None) -> Tensor:
        """The codes (N, D) that noise, and labels if the sampler knows any, are mapped to.

        Noise from N(0, I) gives codes of this distribution, so that drawing is a function that can
        be exported.

        Args:
            noise: (N, noise_dim).
            y: labels (N,), or None.

        Raises:
            InputError: the codes are not a function of noise, or labels are missing.
        """
        raise InputError(f"{type(self).__name__} does not make its codes of noise alone")

    def save(self, path: str | Path) -> None:
        """Store the fitted sampler in a file of safetensors, which `load` reads.

        Raises:
            InputError: it was not fitted, has no name in zspace's table of samplers, or the file
                can't be written.
        """
        self._check_built()
        if Path(path).is_dir():
            raise InputError(f"{path} is a folder: give the name of a file")
        # the table of names lies in a room above this one
        import_module("zspace.recipes.catalogue").save_alone(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The sampler that `save`, or `zspace fit-sampler`, stored in a file.

        It is on the CPU. Nothing in the file is executed.

        Raises:
            InputError: the file can't be read, or holds a sampler of another class.
        """
        made = import_module("zspace.recipes.catalogue").load_alone(Path(path))
        if not isinstance(made, cls):
            raise InputError(f"{path} holds a {type(made).__name__}, not a {cls.__name__}")
        return made

    def grow(self, state: Mapping[str, Tensor]) -> None:
        """Take the sizes that depend on codes from a state that is about to be loaded."""
        if self.open:
            sizes = {len(t.shape) and t.shape[-1] for n, t in state.items() if n in SIZED}
            if len(sizes) == 1:
                self.dim = sizes.pop()
                self.build(self.dim)
        for name in self.varying:
            own, new = getattr(self, name, None), state.get(name)
            if own is not None and new is not None and own.shape[1:] == new.shape[1:]:
                setattr(self, name, own.new_zeros(new.shape))

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Tensor],
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        self.grow({n[len(prefix) :]: t for n, t in state_dict.items() if n.startswith(prefix)})
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def fault(self) -> str | None:
        """What is impossible about fitted values that were received; None if nothing is."""


MOST_DRAWN = 10**10
"""The number of codes that can be drawn at once, at most."""
SIZED = ("mean", "means", "codes")
"""The buffers, one of which every fitted sampler has, whose last size is that of a code."""


class Density(Sampler, ABC):
    """A sampler whose density is known, which must define `log_density`, too.

    The density of a sampler that is fitted to labelled codes is that of all codes, regardless of
    their labels.
    """

    def log_prob(self, z: Arrays) -> Arrays:
        """The log density log p(z) in nats, (N,), at codes (N, D), both tensors or both arrays.

        Raises:
            InputError: the codes have another size, or the sampler was not fitted.
        """
        self._check_built()
        codes = as_codes(z)
        if self.dim and codes.shape[1] != self.dim:
            raise InputError(
                f"these codes have {codes.shape[1]} numbers each, this density is of {self.dim}"
            )
        own = next(t for t in chain(self.buffers(), self.parameters()) if t.is_floating_point())
        if isinstance(z, Tensor):
            return self.log_density(codes.to(own.dtype)) if len(codes) else own.new_zeros(0)
        with torch.no_grad():
            found = self.log_density(codes.to(own)) if len(codes) else own.new_zeros(0)
            return found.cpu().numpy()

    def score_samples(self, z: Arrays) -> Arrays:
        """What `log_prob` gives, by the name that scikit-learn's densities have for it."""
        return self.log_prob(z)

    @abstractmethod
    def log_density(self, z: Tensor) -> Tensor:
        """The log density log p(z) in nats, (N,), at codes (N, D) on the sampler's device."""
