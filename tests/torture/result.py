# SPDX-License-Identifier: Apache-2.0
"""The result of one test."""

import dataclasses


@dataclasses.dataclass
class Result:
    name: str
    seconds: float = 0.0
    points: int = 0
    # Points that the process did not reach this time.
    missed: int = 0
    containers: int = 0
    # The time with capprof as a multiple of the time without; None: not measured.
    times: float | None = None
    problems: list = dataclasses.field(default_factory=list)
