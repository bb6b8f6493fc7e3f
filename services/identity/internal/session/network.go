package session

import (
	"net/netip"
	"time"
)

// Networks from which an account's person has fully signed in.
const (
	KnownNetworks    = 20 // the latest
	KnownNetworksFor = 90 * 24 * time.Hour
)

// Network is what an address counts as: an IPv6 client has a /64 at least, and any number of addresses in it. Empty: it is no address.
func Network(address string) string {
	at, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	at = at.Unmap().WithZone("")
	bits := 32
	if at.Is6() {
		bits = 64
	}
	network, err := at.Prefix(bits)
	if err != nil {
		return ""
	}
	return network.String()
}
