# SPDX-License-Identifier: Apache-2.0
"""Runs the suites and reads their output."""
