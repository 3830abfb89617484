"""What `torch.nn.parallel.DistributedDataParallel` must know of an objective bound to its programs."""

from pyro.infer.elbo import ELBOModule


def leave_guide_alone(module: ELBOModule) -> None:
    """Tells DistributedDataParallel that the guide's own parameters get no gradient from this module.

    Else it waits for gradients that never come, and sums no others. What the
    guide shares with the model is trained, and not left alone.
    """
    of_model = set(module.model.parameters())
    named = module.guide.named_parameters()
    alone = [f"guide.{name}" for name, parameter in named if parameter not in of_model]
    module._ddp_params_and_buffers_to_ignore = alone
