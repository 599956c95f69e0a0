"""How accelerate's FSDP2 divides the 32B recipe's model among 16 GPUs, seen from one process with
no memory behind the weights: prints parameters per unit and those this GPU holds, as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.distributed as dist
import yaml
from accelerate.utils import FullyShardedDataParallelPlugin
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from torch.distributed.fsdp import FSDPModule
from torch.testing._internal.distributed.fake_pg import FakeStore

from s1_eval.training import plan, recipe

TRAINING = Path(__file__).parents[2] / "training"


def main() -> None:
    config = yaml.safe_load((TRAINING / "accelerate" / "2x8gpu.yaml").read_text())
    said = config["fsdp_config"]
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=config["num_processes"])
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=said["fsdp_version"],
        auto_wrap_policy=said["fsdp_auto_wrap_policy"].lower(),
        reshard_after_forward=said["fsdp_reshard_after_forward"],
        cpu_ram_efficient_loading=False,  # there are no weights to hand round
    )
    plugin.set_mixed_precision(config["mixed_precision"])
    accelerator = SimpleNamespace(
        state=SimpleNamespace(fsdp_plugin=plugin),
        mixed_precision=config["mixed_precision"],
        is_main_process=True,
        device=torch.device("cpu"),
        parallelism_config=None,
    )
    loaded = recipe.load(TRAINING / "recipes" / "s1_32b.yaml")
    model = fsdp2_prepare_model(accelerator, plan.on_meta(plan.config_of(loaded.model)))
    units = {}
    for name, module in model.named_modules():
        if isinstance(module, FSDPModule):
            group = module._get_fsdp_state()._fsdp_param_group
            members = group.fsdp_params if group else []
            units[name] = sum(p._orig_size.numel() for p in members)
    json.dump(
        {
            "units": units,
            "mine": sum(p.to_local().numel() for p in model.parameters()),
            "dtypes": sorted({str(p.dtype) for p in model.parameters()}),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
