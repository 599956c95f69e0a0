"""`s1-train` with accelerate's FSDP2 on CPU processes: `python sharded_on_cpu.py sft RECIPE` under
`torch.distributed.run`.

accelerate takes FSDP up on several accelerators only. Here CPU processes pass for such, and
nothing else changes: wrapping, sharding, gathering and saving are accelerate's and torch's own.
"""

from __future__ import annotations

import os
import sys

from accelerate import PartialState
from accelerate.utils import DistributedType

from s1_eval.training.main import main

os.environ |= {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT",
}

initialise = PartialState.__init__


def passing_for_accelerators(self: PartialState, *args: object, **kwargs: object) -> None:
    initialise(self, *args, **kwargs)
    if self.distributed_type == DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.MULTI_GPU


if __name__ == "__main__":
    PartialState.__init__ = passing_for_accelerators
    sys.exit(main())
