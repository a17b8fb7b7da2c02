"""Where things are: the repository, its programs, and what is kept between runs."""

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "turnstile"
RELEASE = REPOSITORY / os.environ.get("CARGO_TARGET_DIR", "target") / "release"
TURNSTILE = RELEASE / "turnstile"
BIDS = RELEASE / "examples" / "bids"
DRAIN = RELEASE / "examples" / "drain"
