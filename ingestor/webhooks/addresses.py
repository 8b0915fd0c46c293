"""Which addresses a webhook may reach: decided on the address that is connected to, not on a name."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
#: IPv6 addresses that are an IPv4 address to whoever translates them: RFC 6052, 8215, 2765, and 4291 (2.5.5.1).
_TRANSLATED: Final = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96", "::/96")))
#: Where public IPv6 addresses are: IANA has given out no others, and whatever else there is means something of its own.
_PUBLIC: Final = tuple(map(ipaddress.IPv6Network, ("2000::/3", "64:ff9b::/96")))
#: For examples (RFC 9637); Python of 3.11 does not know it.
_EXAMPLES: Final = (ipaddress.IPv6Network("3fff::/20"),)
_IPV6: Final = 6
_LAST_32_BITS: Final = 0xFFFFFFFF


class Reach:
    """Which addresses may be reached: public ones, those of the networks named, and if `private`, all of one host."""

    def __init__(self, *, private: bool = False, networks: Sequence[str] = ()) -> None:
        self._private = private
        self._networks = [ipaddress.ip_network(one) for one in networks]

    def allows(self, address: str) -> bool:
        """Tell whether this address, as text, may be connected to."""
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return all(self._allows(one) for one in _meant(found))

    def _allows(self, address: IpAddress) -> bool:
        if _within(address, self._networks):
            return True
        if address.is_multicast or address.is_unspecified:
            return False
        return self._private or _is_public(address)


def _is_public(address: IpAddress) -> bool:
    if address.version == _IPV6 and (not _within(address, _PUBLIC) or _within(address, _EXAMPLES)):
        return False
    return address.is_global


def _within(address: IpAddress, networks: Iterable[IpNetwork]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _meant(address: IpAddress) -> tuple[IpAddress, ...]:
    """Return the address, and the IPv4 address that it stands for where it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address, address.sixtofour)
    if address.teredo is not None:
        return (address, *address.teredo)
    if int(address) > 1 and _within(address, _TRANSLATED):  # :: and ::1 are themselves
        return (address, ipaddress.IPv4Address(int(address) & _LAST_32_BITS))
    return (address,)
