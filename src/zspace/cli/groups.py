"""Groups of commands: how an unknown one is refused, and how `zspace --help` lists its own."""

from __future__ import annotations

import click

from zspace.errors import unknown

SECTIONS = {
    "Train": {
        "train": "train a model by a recipe",
        "resume": "continue a training that was interrupted",
        "tune": "search the best spread of each class's codes",
        "adopt": "make a run of an autoencoder that was trained elsewhere",
    },
    "Draw": {
        "fit-sampler": "fit a sampler to a run's codes",
        "sample": "draw images from a model",
        "interpolate": "show the images between two",
        "imagine": "show images decoded from draws of an image's posterior",
        "reconstruct": "show images above their reconstructions",
        "decode": "decode codes to images",
        "encode": "write the codes of images",
        "augment": "write a labelled data set of generated images",
        "gallery": "draw pictures of codes and their combinations",
        "export": "write a generator of images to an ONNX file",
    },
    "Measure": {
        "evaluate": "measure reconstructions, generated images and codes",
        "compare": "set the figures of several runs side by side",
        "diagnose": "say what is wrong with a latent space",
        "neighbours": "show the training images nearest to generated ones",
        "novelty": "score how unlike the training data images are",
        "report": "write a report of a run, one page with pictures",
        "classifier": "train the classifier by whose features images are compared",
    },
    "Look": {"explore": "open a page in the browser that shows a latent space"},
    "Data and models": {
        "datasets": "list the named data sets, or fetch one",
        "zoo": "list the trained models, show one's card, or fetch some",
        "weights": "list the published feature networks, or fetch one",
    },
    "Papers": {
        "reproduce": "reproduce a table or figure of a paper",
        "bandwidth": "compute GEN's optimal bandwidth",
    },
}
"""The commands of `zspace`, each with what it does, in the sections of its help."""

ABOUT = {name: about for section in SECTIONS.values() for name, about in section.items()}


class Commands(click.Group):
    """A group of commands that suggests the most similar command for an unknown one."""

    kind = "command"

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names, refused with a suggestion if unknown."""
        if args and self.get_command(ctx, args[0]) is None:
            raise unknown(self.kind, args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)


class Sections(Commands):
    """The group `zspace`, whose help lists its commands in `SECTIONS`."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command, which has its short help from `SECTIONS`."""
        cmd.short_help = ABOUT[name or cmd.name or ""]
        super().add_command(cmd, name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, in the order of the help."""
        return [*ABOUT]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section of commands after the other, with columns of one width."""
        wide = max(map(len, ABOUT))
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(wide), about) for name, about in commands.items()])
