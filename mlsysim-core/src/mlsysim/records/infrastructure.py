"""What machines are built of around the device: links, switches, nodes, racks, fabrics, clusters and fleets."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal

import attrs

from .calibration import ANY
from .device import Device
from .fields import fact

__all__ = ["Cluster", "Fabric", "Fleet", "Link", "Node", "Protocol", "Rack", "Switch"]


@attrs.frozen
class Protocol:
    """One way in which a collective library moves data over a link: short messages take one, long ones another.

    Parameters
    ----------
    name : str
        What the library calls it.
    base : float, s
        Start of a collective, whatever its size.
    step : float, s
        Time of one hop of a ring.
    share : float, ratio
        Payload rate over the highest rate of the link in a collective.
    """

    name: str
    base: float = fact("s", tolerance=0.5, zero=True)
    step: float = fact("s", tolerance=0.5, zero=True)
    share: float = fact("1", tolerance=0.2)


@attrs.frozen
class Link:
    """One link.

    Parameters
    ----------
    name, generation, note : str
        What it is called.
    bandwidth : float, B/s
        Per direction and link.
    latency : float, s
        One way, when published.
    achieved : float, B/s
        Highest rate measured in a collective, per direction and link.
    reduced : float, B/s
        The same in an all-reduce that the switches add up themselves; None where they cannot.
    occupancy : float, ratio
        Share of the device's processors that a collective over the link keeps busy.
    wrap : float, count
        Of a torus: fewest devices along a dimension whose first and last are joined. None where they always are.
    protocols : tuple of Protocol
        Ways in which the collective library uses it.
    aliases : tuple of str
        What people type.
    """

    name: str
    bandwidth: float = fact("B/s")
    latency: float | None = fact("s", default=None, tolerance=0.2)
    achieved: float | None = fact("B/s", default=None, tolerance=0.05)
    reduced: float | None = fact("B/s", default=None, tolerance=0.05)
    occupancy: float | None = fact("1", default=None, tolerance=0.5, zero=True)
    wrap: float | None = fact("1", default=None, tolerance=0.0)
    protocols: tuple[Protocol, ...] = ()
    generation: str = ""
    aliases: tuple[str, ...] = ()
    note: str = ""


@attrs.frozen
class Switch:
    """One switch.

    Parameters
    ----------
    name : str
        What it is called.
    link : str
        Key of the link that its ports speak.
    ports : float, count
        Number of ports.
    power : float, W
        Maximum draw.
    aliases : tuple of str
        What people type.
    """

    name: str
    link: str
    ports: float = fact("1", tolerance=0.0)
    power: float | None = fact("W", default=None)
    aliases: tuple[str, ...] = ()
    note: str = ""


@attrs.frozen
class Node:
    """One server: devices of one kind, joined by one kind of link.

    Parameters
    ----------
    name, vendor, released, note : str
        What it is called.
    device : str
        Key of a device; or a pattern of the names of the cards that fit: ``*``, ``*GeForce*``.
    devices : float, count
        How many.
    domain : float, count
        Devices that the inner link joins; larger than ``devices`` for rack-scale domains.
    inner : str
        Key of the link between devices.
    inner_links : float, count
        Links per device.
    outer : str
        Key of the link that leaves the node.
    outer_links : float, count
        Links per node.
    host : str
        Key of the link from each device to host memory.
    memory : float, B
        Host memory.
    power : float, W
        Maximum draw of the whole node.
    aliases : tuple of str
        What people type.
    """

    name: str
    device: str
    devices: float = fact("1", tolerance=0.0)
    inner: str = ""
    inner_links: float | None = fact("1", default=None, tolerance=0.0)
    domain: float | None = fact("1", default=None, tolerance=0.0)
    outer: str = ""
    outer_links: float | None = fact("1", default=None, tolerance=0.0)
    host: str = ""
    memory: float | None = fact("B", default=None, tolerance=0.0)
    power: float | None = fact("W", default=None)
    vendor: str = ""
    released: str = ""
    aliases: tuple[str, ...] = ()
    note: str = ""

    @property
    def general(self) -> bool:
        """Whether it holds cards of several kinds."""
        return ANY in self.device

    def takes(self, device: Device) -> bool:
        """Return whether a node of cards of several kinds would hold a device: its name and a port of it fit.

        Parameters
        ----------
        device : Device
            The device.

        Returns
        -------
        bool
        """
        fits = any(port.link == (self.host or self.inner) for port in device.ports)
        return fits and self.general and fnmatchcase(device.name, self.device)


@attrs.frozen
class Rack:
    """One rack.

    Parameters
    ----------
    name : str
        What it is called.
    node : str
        Key of a node.
    nodes : float, count
        Nodes per rack.
    power : float, W
        Limit of the rack.
    """

    name: str
    node: str
    nodes: float = fact("1", tolerance=0.0)
    power: float | None = fact("W", default=None)
    aliases: tuple[str, ...] = ()
    note: str = ""


@attrs.frozen
class Fabric:
    """A network of switches.

    Parameters
    ----------
    name : str
        What it is called.
    topology : str
        fat-tree, rail-optimised, dragonfly, torus or switch.
    link : str
        Key of the link.
    oversubscription : float, ratio
        Traffic offered to traffic carried at the narrowest tier; 1 is non-blocking.
    pod : float, count
        Devices below the narrowest tier, which nothing limits among each other: a pod, or a group of a dragonfly.
        None stands for a single node.
    """

    name: str
    topology: Literal["fat-tree", "rail-optimised", "dragonfly", "torus", "switch"]
    link: str
    oversubscription: float | None = fact("1", default=None)
    pod: float | None = fact("1", default=None, tolerance=0.0)
    aliases: tuple[str, ...] = ()
    note: str = ""


@attrs.frozen
class Cluster:
    """Nodes of one kind on one fabric.

    Parameters
    ----------
    name : str
        What it is called.
    node, fabric, site : str
        Keys.
    nodes : float, count
        Number of nodes.
    far : str
        Key of the link between the sites of a cluster that is spread over several; empty for one site.
    far_links : float, count
        Such links that leave each site.
    sites : float, count
        Sites, of equally many nodes.
    storage : float, B/s
        Sustained write rate of the storage that checkpoints go to, for the whole cluster.
    device_mtbf : float, s
        Device time between failures that stop a job.
    restart : float, s
        From a failure until the job trains again: detection, replacement, start and loading.
    """

    name: str
    node: str
    nodes: float = fact("1", tolerance=0.0)
    fabric: str = ""
    site: str = ""
    far: str = ""
    far_links: float | None = fact("1", default=None, tolerance=0.0)
    sites: float | None = fact("1", default=None, tolerance=0.0)
    storage: float | None = fact("B/s", default=None, tolerance=0.2)
    device_mtbf: float | None = fact("s", default=None, tolerance=0.2)
    restart: float | None = fact("s", default=None, tolerance=0.5)
    aliases: tuple[str, ...] = ()
    note: str = ""


@attrs.frozen
class Fleet:
    """Several clusters of one operator.

    Parameters
    ----------
    name : str
        What it is called.
    clusters : tuple of str
        Keys of clusters.
    """

    name: str
    clusters: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    note: str = ""
