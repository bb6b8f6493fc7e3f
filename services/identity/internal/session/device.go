package session

import (
	"net/netip"
	"slices"
	"strings"
)

// Devices is how many places to sign in from are remembered of an account, the latest.
const Devices = 50

// Place is where somebody signs in.
type Place struct {
	Device  string
	Network string // the part of the address that is the provider's, and mostly stays when the rest changes; empty: not known
}

// PlaceOf returns where a session began.
func PlaceOf(s Session) Place {
	p := Place{Device: Device(s.UserAgent)}
	if address, err := netip.ParseAddr(s.Address); err == nil {
		bits := 32
		if address = address.Unmap(); address.Is4() {
			bits = 16
		}
		prefix, _ := address.WithZone("").Prefix(bits) // which both kinds of addresses have
		p.Network = prefix.String()
	}
	return p
}

// New tells whether nobody signed in with such a device before, or from such a network. The first of all is not new: there was nobody
// else before.
func (p Place) New(known []Place) bool {
	seen := func(same func(Place) bool) bool { return slices.ContainsFunc(known, same) }
	return len(known) > 0 && !(seen(func(k Place) bool { return k.Device == p.Device }) && seen(func(k Place) bool { return k.Network == p.Network }))
}

// Device is a short name of a client for people: browser and system, when it is a well-known one, or else the first word of what it calls itself.
func Device(userAgent string) string {
	known := func(marks ...string) string { // pairs of what is looked for, and its name; the first that is found
		for i := 0; i < len(marks); i += 2 {
			if strings.Contains(userAgent, marks[i]) {
				return marks[i+1]
			}
		}
		return ""
	}
	browser := known("Edg", "Edge", "OPR/", "Opera", "SamsungBrowser/", "Samsung Internet", "Firefox/", "Firefox", "FxiOS/", "Firefox",
		"CriOS/", "Chrome", "Chrome/", "Chrome", "Safari/", "Safari")
	if browser == "" {
		word, _, _ := strings.Cut(strings.TrimSpace(userAgent), " ")
		name, _, _ := strings.Cut(word, "/")
		return name
	}
	system := known("iPhone", "iPhone", "iPad", "iPad", "Android", "Android", "Windows", "Windows", "Mac OS X", "macOS", "CrOS", "ChromeOS",
		"Linux", "Linux", "X11", "Linux")
	if system == "" {
		return browser
	}
	return browser + " on " + system
}
