"""Collectives: what they send, how long their hops take, and which algorithm is fastest."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import log, maximum, minimum

__all__ = [
    "bus_rate", "crossing_time", "domain_members", "exchange_time", "gathered_bytes", "hop_latency", "node_count",
    "oversubscribed_rate", "point_to_point_time", "ring_hops", "ring_time", "torus_exchange_time", "torus_rate",
    "transfer_time", "tree_latency",
]  # fmt: skip


@formula("1", size="1", stride="1", domain="1")
def domain_members(size: Any, stride: Any, domain: Any) -> Any:
    """Return how many members of a group share one fast domain.

    Parameters
    ----------
    size : float or array, count
        Members of the group.
    stride : float or array, count
        Devices from one member to the next.
    domain : float, count
        Devices that the inner link joins.

    Returns
    -------
    float or array, count

    Notes
    -----
    w = min(n, max(1, D / s)).
    """
    return minimum(size, maximum(domain / stride, 1.0 * (size / size)))


@formula("1", size="1", members="1")
def node_count(size: Any, members: Any) -> Any:
    """Return how many domains a group spans.

    Parameters
    ----------
    size, members : float or array, count
        Members of the group, and those of one domain.

    Returns
    -------
    float or array, count

    Notes
    -----
    k = n / w.
    """
    return size / members


@formula("B", volume="B", size="1")
def gathered_bytes(volume: Any, size: Any) -> Any:
    """Return what each member sends in an all-gather or a reduce-scatter.

    Parameters
    ----------
    volume : float or array, B
        The whole vector.
    size : float or array, count
        Members.

    Returns
    -------
    float or array, B

    Notes
    -----
    V (n - 1)/n; an all-reduce sends twice as much.

    References
    ----------
    Thakur, Rabenseifner, Gropp 2005, Optimization of Collective Communication Operations in MPICH.
    """
    return volume * ((size - 1.0) / size)


@formula("B/s", inner="B/s", outer="B/s", members="1")
def bus_rate(inner: Any, outer: Any, members: Any) -> Any:
    """Return the rate of rings that leave a domain by the network interfaces of all their members in it.

    Parameters
    ----------
    inner, outer : float or array, B/s
        Rate of one device inside the domain, and through its own share of the network interfaces.
    members : float or array, count
        Members of the group in one domain.

    Returns
    -------
    float or array, B/s

    Notes
    -----
    B = min(B_inner, w B_outer): a ring through one interface alone would be w times too slow.
    """
    return minimum(inner, members * outer)


@formula("1", size="1", nodes="1")
def ring_hops(size: Any, nodes: Any) -> Any:
    """Return the hops of a ring inside domains.

    Parameters
    ----------
    size, nodes : float or array, count
        Members of the group and domains that it spans.

    Returns
    -------
    float or array, count

    Notes
    -----
    (n - 1) - (k - 1); the other k - 1 hops cross the network.

    References
    ----------
    NVIDIA NCCL, src/graph/tuning.cc: nsteps and nInterSteps.
    """
    return size - nodes


@formula("s", inside="1", nodes="1", inner_step="s", outer_step="s")
def hop_latency(inside: Any, nodes: Any, inner_step: Any, outer_step: Any) -> Any:
    """Return the time of all hops of a ring.

    Parameters
    ----------
    inside : float or array, count
        Hops inside domains.
    nodes : float or array, count
        Domains.
    inner_step, outer_step : float, s
        Time of one hop inside and between domains.

    Returns
    -------
    float or array, s

    Notes
    -----
    l = n_in l_in + (k - 1) l_out.

    References
    ----------
    NVIDIA NCCL, src/graph/tuning.cc: hwLat.
    """
    return inside * inner_step + (nodes - 1.0) * outer_step


@formula("s", members="1", nodes="1", inner_step="s", outer_step="s", two="1")
def tree_latency(members: Any, nodes: Any, inner_step: Any, outer_step: Any, two: Any) -> Any:
    """Return the time of all hops of an all-reduce over a tree of domains.

    Parameters
    ----------
    members, nodes : float or array, count
        Members per domain and domains.
    inner_step, outer_step : float, s
        Time of one hop.
    two : float, count
        Arity of the tree.

    Returns
    -------
    float or array, s

    Notes
    -----
    2 [(w - 1) l_in + log2(k) l_out].

    References
    ----------
    NVIDIA NCCL, src/graph/tuning.cc: latencies of the tree algorithm.
    """
    return 2.0 * ((members - 1.0) * inner_step + log(nodes) / log(two) * outer_step)


@formula("s", sent="B", rate="B/s", share="1")
def transfer_time(sent: Any, rate: Any, share: Any) -> Any:
    """Return the time that the bytes themselves take.

    Parameters
    ----------
    sent : float or array, B
        What each member sends.
    rate : float or array, B/s
        Highest rate of the slowest link on the way.
    share : float, ratio
        Payload rate of the protocol over that.

    Returns
    -------
    float or array, s

    Notes
    -----
    V / (B e).
    """
    return sent / (rate * share)


@formula("s", base="s", hops="s", transfer="s")
def ring_time(base: Any, hops: Any, transfer: Any) -> Any:
    """Return the time of a collective by one protocol.

    Parameters
    ----------
    base, hops, transfer : float or array, s
        Start, hops and bytes.

    Returns
    -------
    float or array, s

    Notes
    -----
    t = t_0 + l + V/B (alpha-beta). The library takes the protocol that is fastest for the size, so the time
    over sizes is the minimum of several such lines.

    References
    ----------
    Hockney 1994, The communication challenge for MPP, Parallel Computing 20(3).
    """
    return base + hops + transfer


@formula("s", volume="B", size="1", members="1", inner="B/s", outer="B/s")
def exchange_time(volume: Any, size: Any, members: Any, inner: Any, outer: Any) -> Any:
    """Return the time that the bytes of an all-to-all take.

    Parameters
    ----------
    volume : float or array, B
        What one member holds.
    size, members : float or array, count
        Members of the group, and those of one domain.
    inner, outer : float or array, B/s
        Rates of one device inside and between domains.

    Returns
    -------
    float or array, s

    Notes
    -----
    max( V (w - 1)/n / B_inner, V (n - w)/n / B_outer ): both ways are used at once.
    """
    near = volume * ((members - 1.0) / size) / inner
    far = volume * ((size - members) / size) / outer
    return maximum(near, far)


@formula("s", volume="B", size="1", within="1", rate="B/s")
def crossing_time(volume: Any, size: Any, within: Any, rate: Any) -> Any:
    """Return the time that the bytes of an all-to-all take through the narrowest tier of a network.

    Parameters
    ----------
    volume : float or array, B
        What one member holds.
    size, within : float or array, count
        Members of the group, and those below the narrowest tier together.
    rate : float or array, B/s
        What a device keeps of its rate where all send through that tier at once.

    Returns
    -------
    float or array, s

    Notes
    -----
    V (n - p)/n / B_tier: the share of the bytes whose destination lies beyond; their number over the bisection is
    the same, because every device below the tier sends as much.
    """
    return volume * ((size - within) / size) / rate


@formula("s", volume="B", longest="1", rate="B/s")
def torus_exchange_time(volume: Any, longest: Any, rate: Any) -> Any:
    """Return the time that the bytes of an all-to-all take through the bisection of a torus.

    Parameters
    ----------
    volume : float or array, B
        What one member holds.
    longest : float or array, count
        Members along the longest dimension.
    rate : float or array, B/s
        Rate of one link, one way.

    Returns
    -------
    float or array, s

    Notes
    -----
    V k / (8 B): half of the N members send half of their bytes over the cut, N V / 4, which 2 N / k links cross.
    """
    return volume * longest / (8.0 * rate)


@formula("s", volume="B", rate="B/s", latency="s")
def point_to_point_time(volume: Any, rate: Any, latency: Any) -> Any:
    """Return the time of one message.

    Parameters
    ----------
    volume : float or array, B
        Message.
    rate : float or array, B/s
        Rate of the link.
    latency : float or array, s
        Start and hop.

    Returns
    -------
    float or array, s

    Notes
    -----
    t = alpha + V/B.

    References
    ----------
    Hockney 1994, The communication challenge for MPP, Parallel Computing 20(3).
    """
    return latency + volume / rate


@formula("B/s", rate="B/s", oversubscription="1")
def oversubscribed_rate(rate: Any, oversubscription: Any) -> Any:
    """Return what a device keeps of its rate where all send through the narrowest tier at once.

    Parameters
    ----------
    rate : float or array, B/s
        Rate of its own interface.
    oversubscription : float or array, ratio
        Traffic offered to traffic carried; 1 is non-blocking.

    Returns
    -------
    float or array, B/s

    Notes
    -----
    B / o.
    """
    return rate / oversubscription


@formula("B/s", links="1", rate="B/s", size="1", domain="1", dimensions="1")
def torus_rate(links: Any, rate: Any, size: Any, domain: Any, dimensions: Any) -> Any:
    """Return the rate of one device of a torus in a collective over some of its dimensions.

    Parameters
    ----------
    links : float, count
        Links of a device, two for each dimension.
    rate : float or array, B/s
        Rate of one link.
    size : float or array, count
        Members of the group.
    domain : float, count
        Devices of the torus.
    dimensions : float, count
        Dimensions of the torus.

    Returns
    -------
    float or array, B/s

    Notes
    -----
    B = B_link (n_links / D) min(D, max(1, D ln n / ln N)): a group takes as many dimensions as its size needs,
    and the links of each run both ways.
    """
    wanted = dimensions * log(size) / log(domain)
    used = minimum(maximum(wanted, 1.0 * (size / size)), dimensions)
    return rate * (links / dimensions) * used
