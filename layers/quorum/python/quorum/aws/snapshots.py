"""Snapshots of started Lambda environments (SnapStart): what is done after each restore.

Many environments may be restored from one snapshot, hours after it was taken. Lambda's own Python
has the module that hooks are registered with; where it is missing, there are no snapshots. Ids,
keys and boundaries need no hook: `secrets` and `uuid4` ask the system each time.
"""

import random
from collections.abc import Callable

try:
    from snapshot_restore_py import register_after_restore as _register
except ImportError:  # outside Lambda
    _register = None


def after_restore(hook: Callable[[], object]) -> None:
    """Call `hook` whenever this environment was restored.

    It may not raise, or the environment serves nothing. All hooks together have ten seconds.
    """
    if _register is not None:
        _register(hook)


after_restore(random.seed)  # else all environments of a snapshot choose the same pauses and shards
