"""Expected calibration error: is a label right as often as it was said to be probable?

    ECE = sum over bins (share of data) |share of right labels - mean probability of the label said|

with 15 bins of equal width of that probability.

Source: Guo, Pleiss, Sun and Weinberger (2017), On Calibration of Modern Neural Networks, equation 3.
"""

from torch import Tensor

_BINS = 15


def expected_calibration_error(log_p: Tensor, label: Tensor) -> float:
    """Between 0 and 1, of log-probabilities (N, V) of labels and the right ones (N,)."""
    from torchmetrics.functional.classification import multiclass_calibration_error  # slow to import

    return float(multiclass_calibration_error(log_p.exp(), label, log_p.shape[-1], n_bins=_BINS))
