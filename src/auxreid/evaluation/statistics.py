"""How sure a figure is, whether two rows differ, and what difference a study could have found: over seeds and queries.

A figure of query q under seed s is `values[s, q]`, NaN where that seed does not ask the query (PRID2011's seeds pick
different people) or the query has no true match. A row's figure is the mean over seeds of each seed's mean over its
queries. Another study would draw other queries and train anew, so that both vary. This is the design of diagnostic
studies in which several readers judge the same cases, with trainings as readers and queries as cases, and the method is
theirs: N. Obuchowski, H. Rockette, Hypothesis Testing of Diagnostic Accuracy for Multiple Readers and Multiple Tests,
1995, with the degrees of freedom of S. Hillis, A Comparison of Denominator Degrees of Freedom Methods for Multiple
Observer ROC Analysis, 2007. Of S seeds the mean has the variance

    V = B / S + C,  C at least 0

B is the variance of the seeds' means; C is the covariance of two seeds' means, which comes from the queries that both
ask, as much as these are hard or easy under every training. The mean is then as Student's t with
(S - 1) (1 + C S / B)^2 degrees of freedom: few where training is what varies. The B of few seeds is often too small by
chance, which would grant too many, so that C S / B counts by (S - 1) / (S + 3): simulated tests of 2 to 10 seeds then
keep their level.

One seed says nothing about training: its V is that of the mean over its queries, with n - 1 degrees of freedom, an
interval over queries alone.

Rows are compared by the differences of their values under the same seed at the same query. Queries count as independent
of each other, also those of one person.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and queries, and how far it varies between studies of this size."""

    mean: float
    variance: float  # of the mean; NaN where a single value is all there is
    freedom: float  # degrees of freedom
    seeds: int  # that have a value; with one, the variance is over queries alone

    @property
    def error(self) -> float:
        """Standard error."""
        return float(np.sqrt(self.variance))

    def interval(self, level: float) -> tuple[float, float]:
        """The interval that holds the truth in `level` (0.95 for 95 %) of such studies."""
        half = _t_quantile(self.freedom, (1 + level) / 2) * self.error
        return self.mean - half, self.mean + half

    def p_value(self) -> float:
        """Two-sided, that the true mean is 0.

        Raises:
            ValueError: a single seed, which knows nothing of training.
        """
        from scipy.special import stdtr

        if self.seeds < 2:
            raise ValueError("one seed does not say how another training would have come out: there is no p-value")
        if self.variance == 0:
            return float(self.mean == 0)
        return float(2 * stdtr(self.freedom, -abs(self.mean) / self.error))

    def detectable(self, level: float, power: float) -> float:
        """The true mean that a two-sided test at `level` (0.05 for 5 %) finds with this power in studies like this.

        By the noncentral t distribution (its far tail, a thousandth at any useful power, is left out). The standard
        error is divided by what it falls short of the true one on average, c4 of statistical quality control.
        """
        from scipy.special import gammaln, nctdtrinc

        half = self.freedom / 2
        shortfall = np.exp(gammaln(half + 0.5) - gammaln(half)) / np.sqrt(half) if half < 1e6 else 1.0
        shift = nctdtrinc(min(self.freedom, 1e6), 1 - power, _t_quantile(self.freedom, 1 - level / 2))
        return float(shift * self.error / shortfall)


def estimate(values: np.ndarray) -> Estimate:
    """The mean over seeds of the means over queries, and its spread.

    Args:
        values: float [s, n], NaN where there is no value; seeds without any value are left out.

    Raises:
        ValueError: another shape, or no value at all.
    """
    if values.ndim != 2 or np.isnan(values).all():
        raise ValueError(f"values have shape {values.shape}, expected [s, n] with a value that is not NaN")
    values = values[~np.isnan(values).all(axis=1)]
    means = np.nanmean(values, axis=1)  # [s]
    seeds = len(means)
    if seeds == 1:
        asked = values[~np.isnan(values)]
        variance = asked.var(ddof=1) / len(asked) if len(asked) > 1 else np.nan
        return Estimate(float(means[0]), float(variance), float(max(len(asked) - 1, 1)), seeds)
    between, shared = means.var(ddof=1) / seeds, max(_shared_variance(values, means), 0.0)
    shrunk = (seeds - 1) / (seeds + 3) * shared
    freedom = (seeds - 1) * (1 + shrunk / between) ** 2 if between > 0 else np.inf
    return Estimate(float(means.mean()), float(between + shared), float(freedom), seeds)


def _shared_variance(values: np.ndarray, means: np.ndarray) -> float:
    """Mean covariance of two seeds' means, from the queries that both ask; values [s, n], means [s]."""
    present = (~np.isnan(values)).astype(np.float64)
    deviations = np.where(present > 0, values - means[:, None], 0.0)
    asked, common = present.sum(axis=1), present @ present.T  # [s], [s, s]
    products = deviations @ deviations.T
    covariances = np.divide(products, common - 1, out=np.zeros_like(products), where=common > 1)
    pairs = np.triu_indices(len(means), 1)
    return float((covariances * common / np.outer(asked, asked))[pairs].mean())


def _t_quantile(freedom: float, share: float) -> float:
    from scipy.special import ndtri, stdtrit  # 0.1 s that reading a comparison need not cost

    return float(stdtrit(freedom, share) if np.isfinite(freedom) else ndtri(share))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's step-down correction of m p-values: float64 [m], to be compared with the level of the whole family.

    Sorted ascending, the i-th (from 1) becomes the largest of min(1, (m - j + 1) * p_j) over j up to i (S. Holm, A
    Simple Sequentially Rejective Multiple Test Procedure, 1979). It holds whatever the dependence between the tests.
    """
    p_values = np.asarray(p_values, np.float64)
    order = np.argsort(p_values, kind="stable")
    steps = np.minimum(1.0, p_values[order] * np.arange(len(order), 0, -1))
    adjusted = np.empty_like(steps)
    adjusted[order] = np.maximum.accumulate(steps)
    return adjusted
