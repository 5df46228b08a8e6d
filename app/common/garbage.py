"""When the garbage collector runs in a process that answers requests.

Its passes stall every request, so they are rare. But what lived through two of them is looked at no more for a very
long time, and a connection leaves cycles behind (its protocol, its context, its executor; 12 kB and more): so whatever
lived long is counted as it ends, and a full pass follows each few hundred.
"""

import gc
from dataclasses import dataclass

LIVED_S = 1.0
"""What ends sooner is young garbage, which the usual passes take."""
PASS_AFTER = 500


def settle() -> None:
    """Once, at the start. What was imported stays and is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    gc.enable()


@dataclass
class Ended:
    """What ended since the last full pass, after a life of at least LIVED_S."""

    count: int = 0

    def tell(self, lived_s: float) -> None:
        self.count += lived_s >= LIVED_S
        if self.count >= PASS_AFTER:
            self.count = 0
            gc.collect()
