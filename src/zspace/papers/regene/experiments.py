"""The definitions of ReGene's experiments."""

from __future__ import annotations

import numpy as np

from zspace.papers.regene.figures import crops, fig3, fig5, fig6, fig15b
from zspace.papers.regene.losses import fig16, fig17
from zspace.papers.regene.pictures import closest, fig7, fig11, fig14, one, sheet_of
from zspace.papers.regene.scales import FLEXAE, LESS, experiment, faces
from zspace.papers.regene.tables import fig15a, table1, table2, table3, table4

_GREY = ("mnist", "fashion-mnist", "digits")
_ALL = ("mnist", "fashion-mnist", "cifar10", "digits")
_COLOUR = ("cifar10", "mnist", "fashion-mnist", "digits")
_GRID = "encoder of 32 channels and decoder of 64 and 32, 1,500 + 2,500 iterations of 64 images"
_QUICK = {"iterations": 4000, "classifier_iterations": 1500, "batch_size": 64}
_INCEPTION = "the data set's files; at scale paper the Inception weights (zspace weights)"
_SHOWN = "the images that are shown are drawn at random"
_THRESHOLDS = (
    "thresholds are mean confidences on the validation images, or without any on the test images"
)
_LARGE = "at 128 pixels the networks of 64 with a block more, and their schedule"
_FEATURES = (
    {"features": ("pixels",), "seeds": 1},
    {"features": ("classifier",), "seeds": 3},
    {"features": ("inception",), "seeds": 3},
)
_FACES = (
    "the data set's files; the paper's complementary class, anime, is no named set: two folders of "
    "faces as two classes are regene/fig11's"
)
EXPERIMENTS = (
    experiment(
        "table1",
        "ReGene, Table 1 and Figure 4: depth of the classifier against what can be decoded.",
        table1,
        _COLOUR,
        (
            {"blocks": (2, 3), "convolutions": (1,)},
            {"blocks": (4, 6), "convolutions": (1, 3)},
            {"blocks": (4, 5, 6), "convolutions": (1, 3)},
        ),
        less=f"4 and 6 blocks alone; {_GRID} in place of 128, 512 and 256 channels, 350 or 400 "
        "epochs of 512; bfloat16",
        small=_QUICK,
        choices="barcodes and maps are of 2,000 test latents; a dimension is near 0 if it is below "
        "a tenth of the largest",
        cost="an hour and a half on a core",
    ),
    experiment(
        "fig3",
        "ReGene, Figure 3: against an autoencoder with a linear probe.",
        fig3,
        _GREY,
        choices="the autoencoder has the batches, rates and number of iterations of the decoder, "
        "and its probe is fitted to 10,000 training images",
        cost="40 minutes on a core",
    ),
    experiment(
        "fig5",
        "ReGene, Figure 5: the latents of a DenseNet can't be decoded.",
        fig5,
        _COLOUR,
        ({"depth": 10}, {"depth": 40}, {"depth": 100}),
        less=f"DenseNet-40 in place of 100; {_GRID}",
        choices="DenseNet-BC of growth 12, trained as the paper's own classifier",
        small=_QUICK,
        cost="2 hours on a core",
    ),
    experiment(
        "table2",
        "ReGene, Table 2: trials for 500 generations of each class.",
        table2,
        _ALL,
        ({"per_class": 10}, {"per_class": 500}, {"per_class": 500}),
        choices=_THRESHOLDS,
    ),
    experiment(
        "fig6",
        "ReGene, Figure 6: a neutral classifier's accuracy on generations.",
        fig6,
        _ALL,
        (
            {"combine": (2, 3, 5), "neutral": "cnn", "neutral_iterations": 100, "seeds": 1},
            {"combine": (2, 3, 5), "neutral": "cnn", "seeds": 3},
            {"combine": (2, 3, 5), "neutral": "resnet56", "seeds": 3},
        ),
        less=f"{LESS}; a small neutral network in place of ResNet-56",
        choices="one neutral classifier; ResNet-56 is trained for 64,000 iterations of 128 images, "
        f"shifted and, unless they are digits, mirrored, as He et al. have it; {FLEXAE}",
        cost="an hour and a half on a core (Table 3's runs are reused with --runs)",
    ),
    experiment(
        "table3",
        "ReGene, Table 3: Frechet distances between originals, reconstructions and generations.",
        table3,
        (*_ALL, "celeba"),
        _FEATURES,
        choices=f"distances from test and from training images; {FLEXAE}; WGAN-GP is conditional",
        needs=_INCEPTION,
        cost="2 hours on a core",
    ),
    experiment(
        "crops",
        "ReGene, Appendix C: what CelebA's crop does to the Frechet distance.",
        crops,
        ("celeba",),
        (
            {"features": "pixels", "crops": (("140", 16), ("none", 16))},
            {"features": "classifier", "crops": (("140", 64), ("none", 64))},
            {"features": "inception", "crops": (("140", 64), ("none", 64), ("none", 128))},
        ),
        needs=f"{_FACES}; at scale paper the Inception weights (zspace weights)",
        choices="no crop at 64 pixels, too, so that the crop alone differs",
        **faces(4000, less="; 64 pixels alone", cost="an hour on a core"),
    ),
    experiment(
        "table4",
        "ReGene, Table 4: Inception Scores.",
        table4,
        _GREY,
        choices=f"real images are scored by a classifier of the data set; {FLEXAE}",
    ),
    experiment(
        "fig7",
        "ReGene, Figure 7: generations over their sources, and interpolations.",
        fig7,
        _ALL,
        choices=_SHOWN,
    ),
    experiment(
        "fig8",
        "ReGene, Figure 8: pairs of cars.",
        sheet_of("matrix", one("automobile")),
        _COLOUR,
        choices=_SHOWN,
    ),
    experiment(
        "fig9",
        "ReGene, Figure 9: pairs of faces at 64 pixels.",
        sheet_of("matrix", one("Male")),
        ("celeba",),
        needs=_FACES,
        choices=_SHOWN,
        image_size=64,
        **faces(4000),
    ),
    experiment(
        "fig10",
        "ReGene, Figure 10: pairs of faces at 128 pixels.",
        sheet_of("matrix", one("Male")),
        ("celeba",),
        ({"crop": "none"}, {"crop": "none"}, {"crop": "none"}),
        needs=_FACES,
        choices=_LARGE,
        image_size=128,
        **faces(1000, blocks=5),
    ),
    experiment(
        "fig11",
        "ReGene, Figure 11: pairs of anime faces at 128 pixels.",
        fig11,
        (),
        needs="--data-dir, two folders of faces, anime and another, separated by a comma, or a "
        "folder that holds them",
        choices=_LARGE,
        image_size=128,
        **faces(1000, blocks=5),
    ),
    experiment(
        "fig12",
        "ReGene, Figure 12: the nearest training images of generations.",
        sheet_of("closest"),
        _ALL,
        choices=f"{_THRESHOLDS}; {_SHOWN}",
    ),
    experiment(
        "fig13",
        "ReGene, Figure 13: the nearest other generations.",
        sheet_of("closest-generations"),
        _ALL,
        choices=f"{_THRESHOLDS}; {_SHOWN}",
    ),
    experiment(
        "fig14",
        "ReGene, Figure 14: generations of generations.",
        fig14,
        _ALL,
        choices=f"{_THRESHOLDS}; {_SHOWN}",
    ),
    experiment(
        "fig15a",
        "ReGene, Figure 15a: Table 3's distances on CIFAR-10 and the GANs'.",
        fig15a,
        _COLOUR,
        _FEATURES,
        choices="distances from test and from training images",
        needs=_INCEPTION,
        cost="an hour on a core (Table 3's runs are reused with --runs)",
    ),
    experiment(
        "fig15b",
        "ReGene, Figure 15b: between originals and reconstructions.",
        fig15b,
        _COLOUR,
        (
            {"ratios": (0.0, 0.5, 1.0)},
            {"ratios": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)},
            {"ratios": tuple(np.linspace(0, 1, 11).round(1).tolist())},
        ),
        choices="ratios in steps of 0.1 (small: 0.2), of at most 10,000 training images",
    ),
    experiment(
        "fig16",
        "ReGene, Figure 16 and B.18 to B.20: four losses of the classifier.",
        fig16,
        _COLOUR,
        (
            {"per_class": 5, "seeds": 1},
            {"per_class": 500, "seeds": 3},
            {"per_class": 500, "seeds": 3},
        ),
        less="encoder of 16 channels and decoder of 32 and 16, 1,500 + 2,500 iterations of 64 "
        "images in place of 128, 512 and 256 channels, 350 or 400 epochs of 512; bfloat16",
        small={**_QUICK, "width": 16, "decoder_width": 32},
        choices="hinge, cosine and mean squared error both of logits and of the softmax; 3 "
        "seeds (smoke: 1)",
        cost="2 hours on a core",
    ),
    experiment(
        "fig17",
        "ReGene, Figure 17: classifiers trained with generations.",
        fig17,
        _COLOUR,
        (
            {
                "per_class": (30,),
                "seeds": 1,
                "replaced": (0.5,),
                "added": (1.0,),
                "judge_iterations": 50,
            },
            {
                "per_class": (100, 300, 1000),
                "seeds": 3,
                "replaced": (0.5, 1.0),
                "added": (1.0, 3.0),
                "judge_iterations": 1000,
                "most_trials": 200,
            },
            {
                "per_class": (None,),
                "seeds": 3,
                "replaced": (0.25, 0.5, 0.75, 1.0),
                "added": (0.25, 0.5, 0.75, 1.0),
                "judge_iterations": None,
            },
        ),
        choices="3 seeds (smoke: 1), steps of 25%; classifiers with added images are trained for "
        "as many epochs as that of the originals, and for as many iterations",
        less="100, 300 and 1,000 originals of each class in place of 5,000; 16 channels in "
        "place of 128, decoder of 32 and 16; 800 + 2,000 iterations of 64 images, "
        "classifiers 1,000",
        small={
            "width": 16,
            "decoder_width": 32,
            "batch_size": 64,
            "iterations": 2800,
            "classifier_iterations": 800,
            "precision": "32",
        },
        cost="an hour and a half on a core",
    ),
    experiment(
        "collage",
        "ReGene, Figures D.22 to D.27: generations of each class.",
        sheet_of("collage"),
        (*_ALL, "celeba"),
        choices=f"{_THRESHOLDS}; {_SHOWN}",
    ),
    experiment(
        "closest",
        "ReGene, Figures E.28 to E.45: closest matches, for each class.",
        closest,
        (*_ALL, "celeba"),
        ({"generations": 20}, {"generations": 500}, {"generations": 500}),
        choices="the nearest of 500 other generations (smoke: 20)",
    ),
)
