"""Bits by part: the deployment's, the model's, hand sums of real checkpoints, widths of products."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxlimits as jl
from jaxlimits import schema
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.precision import PARTS, in_bytes, part_bits, product_width, stored_width
from tests.helpers import evaluate_x64, named_scenario
from tests.strategies import scenarios

pytestmark = pytest.mark.usefixtures("x64")

LLM = named_scenario("deepseek-v3", "h200").llm
