"""A photograph in eight colours: segmentation by a mixture of colours.

Every fourth pixel of every fourth line of a photograph of the Summer Palace (shipped with scikit-learn) is a row of
three numbers: red, green, blue. One surface in light and shade is a line in that space, so the covariances are full.
The mixture is fitted to the thinned pixels and paints all 273 280 of them, each in the mean colour of its component.

    python examples/china.py [FOLDER]
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

import bayesgmm as bg
from bayesgmm import models


def main(folder="."):
    """Fit 3, 5 and 8 colours, repaint the photograph with each, draw."""
    image = load_sample_image("china.jpg") / 255.0
    thinned = image[::4, ::4].reshape(-1, 3)
    print(f"{len(thinned)} of {image.size // 3} pixels are fitted.")
    fits, painted = {}, {}
    for k in (3, 5, 8):
        fits[k] = fit = bg.fit(thinned, models.finite_mixture(k), bg.EM(n_init=10, moves=1), random_state=0)
        labels = fit.predict(image.reshape(-1, 3)).reshape(image.shape[:2])
        painted[k] = np.clip(fit.means, 0, 1)[labels]
        lost = np.mean((image - painted[k]) ** 2) / np.mean((image - image.mean((0, 1))) ** 2)
        print(
            f"{k} colours: mean log-likelihood {fit.score():.5f} nats a pixel; {lost:.1%} of the variance is lost."
        )
    sky = np.bincount(fits[8].predict(image[:20].reshape(-1, 3)), minlength=8) / image[:20, :, 0].size
    print(
        f"With 8 the top 20 lines, all sky, take {np.sum(sky > 0.01)} components: a gradient is not Gaussian, and a"
    )
    print("mixture spends components on it. It describes colours; it does not know objects.")

    _, axes = plt.subplots(2, 2, figsize=(11, 7.6), layout="constrained")
    axes[0, 0].imshow(image)
    axes[0, 0].set_title("the photograph", loc="left")
    for ax, (k, picture) in zip(axes.flat[1:], painted.items(), strict=True):
        ax.imshow(picture)
        ax.set_title(f"{k} colours", loc="left")
    for ax in axes.flat:
        ax.set_axis_off()
    axes[0, 0].figure.savefig(Path(folder) / "china.png", dpi=120)
    return fits


if __name__ == "__main__":
    main(*sys.argv[1:])
