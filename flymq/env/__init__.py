"""The only clock, timers, randomness, threads, processes and file system that FlyMQ uses."""

from flymq.env.env import Env
from flymq.env.spawn import Child
from flymq.env.timers import Timer, Timers
from flymq.env.token import Token, completed, gather

__all__ = ["Child", "Env", "Timer", "Timers", "Token", "completed", "gather"]
