"""Read the table ``[modules.copy_trading]``: who follows whom, and how large."""

from __future__ import annotations

from pydantic import model_validator

from tradelab.spine.tables import Above, Seconds, Table


class Link(Table):
    """A bot that follows another.

    Parameters
    ----------
    leader, follower
        Bots of this node; only symbols that both trade are copied.
    ratio
        The follower's quantity for each unit of the leader's.
    ttl_s
        How long after the leader's trade a copy may still be made.
    """

    leader: str
    follower: str
    ratio: Above
    ttl_s: Seconds = 10.0

    @model_validator(mode="after")
    def _two(self) -> Link:
        if self.leader == self.follower:
            raise ValueError(f"{self.leader!r} cannot follow itself")
        return self


class Config(Table):
    """Who follows whom."""

    links: tuple[Link, ...] = ()

    @model_validator(mode="after")
    def _one_leader(self) -> Config:
        followers = [link.follower for link in self.links]
        if twice := sorted({name for name in followers if followers.count(name) > 1}):
            raise ValueError(f"a follower has one leader, and {', '.join(twice)} has several")
        return self
